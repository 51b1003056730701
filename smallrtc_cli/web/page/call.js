/**
 * A conversation with a bot: it outlives its peer connections.
 *
 *     idle → asking → calling → connecting → connected → ready → ended
 *     connected, ready → lost → connected, ready
 *     any of them → failed, waiting; waiting → calling
 *
 * `asking`: the browser asks for the microphone. `connected`: messages flow; `ready`: the bot has said that it listens.
 * `lost`: a new peer connection takes over the old one's conversation (`restart_pc`), a few tries with back-off.
 * `waiting`: the server is gone; when it answers again, it is called again. `ended`: the bot has left.
 */

import { Closed, Link } from "./link.js";
import { Refused, Unreachable } from "./signalling.js";

const RTVI = "2.2.0";
const DELAYS = [0, 1_000, 3_000, 5_000]; // ms before each try to get back
const KEPT = 14_000; // ms; smallrtc closes a conversation after 15 s of silence, a restart would find nothing
const WAIT = 10 * 60_000; // ms that a server may be gone
const GOODBYES = [300, 700, 1_000, 2_000, 3_000, 3_000]; // ms between looks at a server whose bot has left
const PROMPT = 30_000; // ms that the browser's question about the microphone holds the call up
const ON = new Set(["asking", "calling", "connecting", "connected", "ready", "lost", "waiting"]);

export class Call extends EventTarget {
  #signalling;
  #run = 0; // what was begun in an earlier run has no say in a later one
  #link = null;
  #retired = null;
  #session = null;
  #ready = false;
  #fatal = false;
  #wasUp = false;
  #shaky = false;
  #tracks = [null, null, null];
  #enabled = [false, false, false];
  #instance = null;

  constructor(signalling) {
    super();
    this.#signalling = signalling;
    this.state = "idle";
    this.detail = {};
    this.since = null;
    this.pcId = null;
    this.version = "";
  }

  get isOn() {
    return ON.has(this.state);
  }

  /** The present link, if any: its `pc` is there for statistics. */
  get link() {
    return this.#link;
  }

  /** Call, when the devices are there; what is on is hung up first. Resolves when the call is up, or has failed. */
  async call(devices = Promise.resolve()) {
    const run = ++this.#run;
    this.since = null;
    this.#wasUp = false;
    this.#drop();
    this.#enter("asking");
    await Promise.race([devices, sleep(PROMPT)]);
    if (run === this.#run) await this.#fresh(run);
  }

  hangUp() {
    this.#run++;
    this.#drop();
    this.#enter("idle");
  }

  /** Have a new peer connection take over. */
  restart() {
    return this.#recover(this.#run, "that was asked for");
  }

  /** Send a track (0 microphone, 1 camera, 2 screen) from now on; null sends nothing. */
  async setTrack(index, track) {
    this.#tracks[index] = track;
    await this.#link?.replaceTrack(index, track);
  }

  /** Tell the server whether a track is on. */
  setEnabled(index, enabled) {
    if (this.#enabled[index] === enabled) return;
    this.#enabled[index] = enabled;
    this.#tellTrack(index);
  }

  /** Send a message, any JSON object; throws an Error with a sentence when it cannot go out. */
  send(message) {
    const text = JSON.stringify(message);
    if (!this.#link?.isOpen) throw new Error("There is no connection to send this on.");
    const size = new TextEncoder().encode(text).length;
    const most = this.#link.maxMessageSize;
    if (size > most) throw new Error(`The message has ${size} bytes; the server takes ${most}.`);
    this.#link.send(text);
    this.#tell("sent", message);
  }

  /** Send an RTVI message. */
  sendRtvi(type, data) {
    this.send({ label: "rtvi-ai", type, id: newId(), data });
  }

  // One call

  async #fresh(run) {
    this.#drop();
    this.#ready = this.#fatal = false;
    this.pcId = null;
    this.#enter("calling");
    try {
      const session = await this.#signalling.start();
      if (run !== this.#run) return;
      this.#session = session;
      this.#enter("connecting");
      await this.#dial(run, false);
    } catch (error) {
      this.#failed(run, error);
    }
  }

  async #dial(run, restart) {
    const link = new Link(this.#signalling, this.#session, this.#tracks, {
      opened: () => this.#opened(run, link),
      received: (text) => [this.#link, this.#retired].includes(link) && this.#received(run, text),
      shaky: (is) => this.#link === link && this.#setShaky(is),
      lost: (why) => this.#link === link && this.#recover(run, why),
    });
    this.#retired?.close();
    this.#retired = this.#link;
    this.#link = link;
    await link.connect(this.pcId, restart);
  }

  #opened(run, link) {
    if (run !== this.#run || link !== this.#link) return;
    this.#retired?.close();
    this.#retired = null;
    this.#wasUp = true;
    this.#shaky = false;
    this.pcId = link.pcId;
    this.since ??= performance.now();
    for (const index of [0, 1, 2]) this.#tellTrack(index);
    if (!this.#ready) this.sendRtvi("client-ready", { version: RTVI, about: this.#about() });
    this.#enter(this.#ready ? "ready" : "connected");
    this.#tell("link", link);
  }

  #about() {
    const about = { library: "smallrtc-page", platform: "web", platform_details: { userAgent: navigator.userAgent } };
    return this.version ? { ...about, library_version: this.version } : about;
  }

  #setShaky(is) {
    if (is === this.#shaky || !["connected", "ready"].includes(this.state)) return;
    this.#shaky = is;
    this.#enter(this.state, { shaky: is });
  }

  // How it goes on when something breaks

  async #recover(run, why) {
    if (run !== this.#run || !["connected", "ready"].includes(this.state)) return;
    if (this.#fatal) return this.#botLeft(run); // to come back would start the bot that has just failed
    const lostAt = performance.now();
    this.#note(`a new connection takes over: ${why}`);
    for (const [index, delay] of DELAYS.entries()) {
      this.#enter("lost", { why, attempt: index + 1, of: DELAYS.length });
      await sleep(delay);
      if (run !== this.#run) return;
      if (performance.now() - lostAt > KEPT) return this.#anew(run);
      try {
        return await this.#dial(run, true);
      } catch (error) {
        if (run !== this.#run || error instanceof Closed) return;
        const last = index === DELAYS.length - 1;
        if (error instanceof Refused && [404, 410].includes(error.status)) return this.#anew(run);
        if (last || error instanceof Refused) return this.#failed(run, error); // if it is only gone, it is waited for
        this.#note(`try ${index + 1}: ${error.message}`);
      }
    }
  }

  #anew(run) {
    this.#note("the server has given up this conversation: calling again, with a new bot");
    this.since = null;
    return this.#fresh(run);
  }

  #failed(run, error) {
    if (run !== this.#run || error instanceof Closed) return;
    const gone = error instanceof Unreachable || (error instanceof Refused && error.passing);
    if (gone && this.#wasUp) return this.#waitForServer(run);
    this.#drop();
    this.#enter("failed", { error });
  }

  async #waitForServer(run) {
    this.#drop();
    this.since = null;
    this.#enter("waiting");
    this.#note("the server is gone; it is called again when it is back");
    const until = performance.now() + WAIT;
    while (performance.now() < until) {
      await sleep(1_000);
      if (run !== this.#run) return;
      if (await this.#serverAnswers()) return run === this.#run ? this.#fresh(run) : undefined;
    }
    if (run === this.#run)
      this.#enter("failed", { error: new Unreachable("The server has not come back in 10 minutes.") });
  }

  async #serverAnswers() {
    try {
      const { instance } = (await this.#signalling.status()) ?? {};
      const same = !this.#instance || !instance || instance === this.#instance;
      this.#instance = instance ?? null;
      return same ? "same" : "another";
    } catch (error) {
      if (error instanceof Unreachable || error.passing) return "";
      return "same"; // it answers, if only to say no
    }
  }

  /** Remember which server process this is, if it says so: one that was restarted fast is another. */
  sawInstance(instance) {
    if (!this.isOn) this.#instance = instance ?? null;
  }

  /** The bot has left. If it did so because its server ends, the call goes on with the next server. */
  async #botLeft(run) {
    const failed = this.#fatal;
    this.#drop();
    this.#enter("ended", { failed });
    this.#note("the bot has left");
    if (failed) return;
    for (const delay of GOODBYES) {
      await sleep(delay);
      if (run !== this.#run) return;
      const answers = await this.#serverAnswers();
      if (run !== this.#run) return;
      if (answers === "another") return this.#fresh(run);
      if (!answers) return this.#waitForServer(run);
    }
  }

  // Messages

  #received(run, text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#note(`received something that is not JSON: ${text.slice(0, 80)}`);
    }
    if (message?.type === "signalling" && message.message) return this.#signalled(run, message.message);
    if (message?.label === "rtvi-ai") this.#rtvi(message);
    this.#tell("message", message);
  }

  #signalled(run, signal) {
    if (signal.type === "renegotiate") {
      this.#note("the server asks to renegotiate");
      const link = this.#link;
      link.renegotiate().catch((error) => link === this.#link && this.#note(`could not renegotiate: ${error.message}`));
    } else if (signal.type === "peerLeft") {
      this.#botLeft(run);
    }
  }

  #rtvi({ type, data }) {
    if (type === "bot-ready") {
      this.#ready = true;
      if (this.state === "connected") this.#enter("ready");
    }
    if (type === "error" && data?.fatal) {
      this.#fatal = true;
      this.#tell("fatal", { sentence: String(data.error ?? "no reason given"), traceback: data.traceback ?? "" });
    }
  }

  #tellTrack(index) {
    if (!this.#link?.isOpen) return;
    const message = { type: "trackStatus", receiver_index: index, enabled: this.#enabled[index] };
    this.#link.send(JSON.stringify({ type: "signalling", message }));
  }

  // The shell

  #drop() {
    for (const link of [this.#link, this.#retired]) link?.close();
    this.#link = this.#retired = null;
    this.#shaky = false;
  }

  #enter(state, detail = {}) {
    this.state = state;
    this.detail = detail;
    this.#tell("state", { state, detail });
  }

  #note(text) {
    this.#tell("note", text);
  }

  #tell(event, detail) {
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }
}

function newId() {
  return Math.random().toString(36).slice(2, 10);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
