/** How loud it is, and what tone: levels in dB of full scale (RMS; a full sine is −3 dB). */

export const FLOOR = -60; // dBFS; what is below is shown as silence

const SPECTRUM = 16_384; // samples: 0.34 s at 48 kHz, bins of 2.9 Hz
const WINDOW = 2_048; // samples: 43 ms

export class Ear {
  #context = null;
  #source = null;
  #short = null;
  #long = null;
  #samples = new Float32Array(WINDOW);

  /** Listen to a track, or to nothing (null). Costs nothing while there is none. */
  attach(context, track) {
    this.#source?.disconnect();
    this.#source = null;
    if (!track) return;
    if (context !== this.#context) this.#prepare(context);
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#short);
    this.#source.connect(this.#long);
  }

  /** RMS of the last 43 ms in dBFS; −Infinity for silence, and for nothing to hear. */
  level() {
    if (!this.#source) return -Infinity;
    this.#short.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return 10 * Math.log10(sum / this.#samples.length);
  }

  /** Hz of the loudest tone of the last third of a second, to about 1 Hz; null for silence. */
  pitch() {
    if (!this.#source) return null;
    const bins = new Float32Array(this.#long.frequencyBinCount);
    this.#long.getFloatFrequencyData(bins);
    let top = 1;
    for (let bin = 1; bin < bins.length - 1; bin++) if (bins[bin] > bins[top]) top = bin;
    if (!(bins[top] > -90)) return null;
    const [left, peak, right] = [bins[top - 1], bins[top], bins[top + 1]];
    const shift = (0.5 * (left - right)) / (left - 2 * peak + right); // of a parabola through the three
    return ((top + shift) * this.#context.sampleRate) / SPECTRUM;
  }

  #prepare(context) {
    this.#context = context;
    this.#short = new AnalyserNode(context, { fftSize: WINDOW });
    this.#long = new AnalyserNode(context, { fftSize: SPECTRUM, smoothingTimeConstant: 0 });
  }
}

/** A bar and a figure for a level. The bar falls slowly, so that an eye can follow. */
export class Meter {
  #element;
  #bar;
  #reading;
  #shown = FLOOR;
  #readAt = 0;

  constructor(element) {
    this.#element = element;
    this.#bar = element.querySelector(".bar");
    this.#reading = element.querySelector(".reading");
  }

  /** Show a level in dBFS at `now`, in ms. */
  show(level, now) {
    const heard = Math.max(FLOOR, Math.min(0, level));
    this.#shown = Math.max(heard, this.#shown - 1.5);
    this.#bar.style.transform = `scaleX(${((this.#shown - FLOOR) / -FLOOR).toFixed(3)})`;
    if (now - this.#readAt < 250) return;
    this.#readAt = now;
    const text = heard > FLOOR ? `${heard.toFixed(0).replace("-", "−")} dB` : "–";
    if (text === this.#reading.textContent) return;
    this.#reading.textContent = text;
    this.#element.setAttribute("aria-valuenow", heard.toFixed(0));
    this.#element.setAttribute("aria-valuetext", heard > FLOOR ? `${heard.toFixed(0)} decibels` : "silent");
  }
}
