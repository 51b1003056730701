/**
 * One RTCPeerConnection, from its offer to its close: transceivers, data channel, candidates, pings.
 *
 * The order of the transceivers is the protocol: 0 microphone, 1 camera, 2 screen.
 */

import { pathTrouble } from "./words.js";

const CONNECT_TIMEOUT = 15_000; // ms until a connection that does not come up is explained
const SILENCE = 5_000; // ms of "disconnected" after which a new connection is tried
const BATCH = 200; // ms for which candidates are collected into one request
const PING = 1_000;

/** No way was found to the other side; `what` and `cure` say why. */
export class NoPath extends Error {
  constructor({ what, cure, facts }) {
    super(what);
    this.name = "NoPath";
    this.hint = cure;
    this.facts = facts;
  }
}

/** The link was closed while something waited for it. */
export class Closed extends Error {}

export class Link {
  #signalling;
  #path;
  #listener;
  #candidates = [];
  #batch = 0;
  #ping = 0;
  #silence = 0;
  #closed = false;
  #open = false;
  #negotiation = Promise.resolve();
  #settle;
  #opened;

  /**
   * `tracks` are what to send on the three transceivers, or null. `listener` has `opened`, `received(text)`,
   * `shaky(is)` and `lost(why)`; the last comes at most once, and only after the link was up.
   */
  constructor(signalling, { path, iceServers }, tracks, listener) {
    this.#signalling = signalling;
    this.#path = path;
    this.#listener = listener;
    this.pcId = null;
    this.#opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.#opened.catch(() => {}); // whoever awaits it hears of it
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.transceivers = [
      this.pc.addTransceiver(tracks[0] ?? "audio", { direction: "sendrecv" }),
      this.pc.addTransceiver(tracks[1] ?? "video", { direction: "sendrecv" }),
      this.pc.addTransceiver(tracks[2] ?? "video", { direction: "sendonly" }),
    ];
    this.channel = this.pc.createDataChannel("chat", { ordered: true });
    this.#listen();
  }

  /** Offer, and return when the data channel is open. `pcId` and `restart` name the connection to take over. */
  async connect(pcId, restart) {
    const deadline = setTimeout(() => this.#fail(), CONNECT_TIMEOUT);
    try {
      await this.#negotiate({ pc_id: pcId, restart_pc: restart });
      await this.#opened;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** A new offer on the same connection, behind any that is under way. */
  renegotiate() {
    this.#negotiation = this.#negotiation.then(() => this.#negotiate({ pc_id: this.pcId, restart_pc: false }));
    return this.#negotiation;
  }

  /** Send on transceiver `index` from now on. */
  replaceTrack(index, track) {
    return this.transceivers[index].sender.replaceTrack(track);
  }

  get isOpen() {
    return this.#open && this.channel.readyState === "open";
  }

  /** Bytes that a message may have. */
  get maxMessageSize() {
    return this.pc.sctp?.maxMessageSize ?? 65_536;
  }

  send(text) {
    this.channel.send(text);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#batch);
    clearTimeout(this.#silence);
    clearInterval(this.#ping);
    this.pc.close();
    this.#settle.reject(new Closed("hung up"));
  }

  #listen() {
    this.pc.onicecandidate = ({ candidate }) => candidate && this.#found(candidate);
    this.pc.oniceconnectionstatechange = () => this.#iceChanged(this.pc.iceConnectionState);
    this.pc.onconnectionstatechange = () => this.pc.connectionState === "failed" && this.#broken("encryption failed");
    this.channel.onopen = () => this.#channelOpened();
    this.channel.onmessage = ({ data }) => this.#received(data);
    this.channel.onclose = () => this.#open && this.#broken("closed by the server");
  }

  async #negotiate(which) {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const { sdp, type } = this.pc.localDescription;
    const answer = await this.#signalling.offer(this.#path, { sdp, type, ...which });
    if (this.#closed) throw new Closed("hung up");
    this.pcId = answer.pc_id;
    await this.pc.setRemoteDescription({ sdp: answer.sdp, type: answer.type });
    this.#flush();
  }

  #found({ candidate, sdpMid, sdpMLineIndex }) {
    this.#candidates.push({ candidate, sdp_mid: sdpMid ?? "0", sdp_mline_index: sdpMLineIndex ?? 0 });
    if (this.pcId !== null && !this.#batch) this.#batch = setTimeout(() => this.#flush(), BATCH);
  }

  async #flush() {
    clearTimeout(this.#batch);
    this.#batch = 0;
    const candidates = this.#candidates.splice(0);
    if (!candidates.length || this.#closed) return;
    try {
      await this.#signalling.candidates(this.#path, { pc_id: this.pcId, candidates });
    } catch (error) {
      console.warn("candidates were not taken:", error.message); // the call may come up without them, or say why not
    }
  }

  #channelOpened() {
    this.#open = true;
    this.#ping = setInterval(() => this.isOpen && this.send(`ping: ${Date.now()}`), PING);
    this.#settle.resolve();
    this.#listener.opened();
  }

  #received(data) {
    if (!this.#closed && typeof data === "string") this.#listener.received(data);
  }

  #iceChanged(state) {
    if (state === "failed") this.#broken("no way to the server any more");
    if (!this.#open) return;
    clearTimeout(this.#silence);
    if (state === "disconnected") {
      this.#listener.shaky(true);
      this.#silence = setTimeout(() => this.#broken(`nothing was heard for ${SILENCE / 1000} s`), SILENCE);
    }
    if (state === "connected" || state === "completed") this.#listener.shaky(false);
  }

  #broken(why) {
    if (this.#closed) return;
    if (!this.#open) this.#fail();
    else {
      const { lost } = this.#listener;
      this.#listener = { ...this.#listener, lost: () => {} };
      lost(why);
    }
  }

  async #fail() {
    const report = this.#closed ? null : await this.pc.getStats();
    if (report) this.#settle.reject(new NoPath(pathTrouble(report, this.pc, location.hostname)));
  }
}
