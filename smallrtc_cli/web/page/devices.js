/**
 * A microphone or a camera: which one, its track, and why there is none.
 *
 * A device is opened when it is wanted, and closed when it is not: the browser's light shows the truth.
 */

import { deviceTrouble } from "./words.js";

export const NONE = "none";

export class Device extends EventTarget {
  #choice;
  #constraints;
  #opening = 0;

  /** `kind` is "microphone" or "camera"; `constraints()` are those beside the device's id. */
  constructor(kind, choice, constraints) {
    super();
    this.kind = kind;
    this.#choice = choice;
    this.#constraints = constraints;
    this.track = null;
    this.trouble = null;
  }

  get choice() {
    return this.#choice;
  }

  get isWanted() {
    return this.#choice !== NONE;
  }

  /** Use another device, by id; "" is the browser's default, `NONE` none at all. */
  choose(id) {
    this.#choice = id;
    this.close();
  }

  /** The device's track, or null; then `trouble` says why, unless none is wanted. Never throws. */
  async open() {
    const opening = ++this.#opening;
    if (!this.isWanted || this.track?.readyState === "live") return this.track;
    try {
      const track = await this.#ask();
      if (opening !== this.#opening) track.stop();
      else this.#opened(track);
    } catch (error) {
      if (opening === this.#opening) this.#set(null, deviceTrouble(this.kind, error, isSecure()));
    }
    return this.track;
  }

  close() {
    this.#opening++;
    this.track?.stop();
    this.#set(null, null);
  }

  async #ask() {
    if (!isSecure()) throw new Error("not a secure context");
    const wanted = { ...this.#constraints() };
    if (this.#choice) wanted.deviceId = { exact: this.#choice };
    const stream = await navigator.mediaDevices.getUserMedia({ [this.#medium]: wanted });
    return stream.getTracks()[0];
  }

  #opened(track) {
    track.onended = () => {
      if (track === this.track)
        this.#set(null, { what: `The ${this.kind} is gone.`, cure: "Choose another one, or try again." });
    };
    this.#set(track, null);
  }

  #set(track, trouble) {
    const changed = track !== this.track || trouble !== this.trouble;
    this.track = track;
    this.trouble = trouble;
    if (changed) this.dispatchEvent(new Event("change"));
  }

  get #medium() {
    return this.kind === "microphone" ? "audio" : "video";
  }

  /** What there is to choose: `[{id, label}]`; without permission browsers give no names. */
  async list() {
    const found = isSecure() ? await navigator.mediaDevices.enumerateDevices() : [];
    const ours = found.filter(
      (each) => each.kind === `${this.#medium}input` && each.deviceId && each.deviceId !== "default",
    );
    return ours.map((each, index) => ({ id: each.deviceId, label: each.label || `${this.kind} ${index + 1}` }));
  }
}

export function isSecure() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}
