/** Small plots of the last minute: a line for each series, the latest figure in words beside it. */

const SPAN = 60; // samples, one a second

/** What is plotted: a title, its unit, series of `statistics.js`. `least` is the lowest that a scale's top may be. */
export const PLOTS = [
  { title: "Round trip", unit: "ms", least: 20, series: [["roundTrip", ""]] },
  {
    title: "Jitter and buffer",
    unit: "ms",
    least: 20,
    series: [
      ["jitter", "jitter"],
      ["buffer", "buffer"],
    ],
  },
  {
    title: "Loss",
    unit: "%",
    least: 5,
    series: [
      ["lostIn", "in"],
      ["lostOut", "out"],
    ],
  },
  {
    title: "Bitrate",
    unit: "kbit/s",
    least: 40,
    series: [
      ["bitrateIn", "in"],
      ["bitrateOut", "out"],
    ],
  },
];

export class Plot {
  #what;
  #canvas;
  #legend;

  constructor(what, parent) {
    this.#what = what;
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = document.createElement("span");
    title.textContent = what.title;
    this.#legend = document.createElement("span");
    this.#legend.className = "figure legend";
    this.#canvas = document.createElement("canvas");
    this.#canvas.setAttribute("role", "img");
    caption.append(title, this.#legend);
    figure.append(caption, this.#canvas);
    parent.append(figure);
  }

  draw(samples) {
    this.#say(samples.at(-1));
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width) return; // folded
    const scale = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    const top = this.#top(samples);
    this.#grid(pen, width, height, top);
    this.#what.series.forEach(([figure], index) => this.#line(pen, samples, figure, index, { width, height, top }));
  }

  #say(sample) {
    const { title, unit, series } = this.#what;
    const words = series.map(([figure, name]) => `${name} ${shown(sample?.[figure])}`.trim());
    if (words.join() === this.#canvas.dataset.said) return;
    this.#canvas.dataset.said = words.join();
    this.#canvas.setAttribute("aria-label", `${title}: ${words.join(", ")} ${unit}`);
    this.#legend.replaceChildren();
    words.forEach((text, index) => {
      const part = document.createElement("span");
      part.className = `series-${index}`;
      part.textContent = text;
      this.#legend.append(part, " ");
    });
    this.#legend.append(unit);
  }

  /** A round number above all that is shown, so that the scale moves seldom. */
  #top(samples) {
    const values = this.#what.series.flatMap(([figure]) => samples.map((sample) => sample[figure] ?? 0));
    const most = Math.max(this.#what.least, ...values);
    const power = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most);
  }

  #grid(pen, width, height, top) {
    pen.strokeStyle = this.#colour("--line");
    pen.fillStyle = this.#colour("--quiet");
    pen.font = "11px system-ui, sans-serif";
    pen.beginPath();
    for (const y of [0.5, height / 2, height - 0.5]) {
      pen.moveTo(0, y);
      pen.lineTo(width, y);
    }
    pen.stroke();
    pen.fillText(String(top), 2, 12);
  }

  #line(pen, samples, figure, index, { width, height, top }) {
    pen.strokeStyle = this.#colour(`--series-${index}`);
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.setLineDash(index ? [4, 3] : []);
    pen.beginPath();
    let drawing = false;
    samples.forEach((sample, at) => {
      const value = sample[figure];
      if (value === null) {
        drawing = false;
        return;
      }
      const x = width - ((samples.length - 1 - at) / (SPAN - 1)) * width;
      const y = height - 1 - (Math.min(value, top) / top) * (height - 2);
      if (drawing) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      drawing = true;
    });
    pen.stroke();
    pen.setLineDash([]);
  }

  #colour(name) {
    return getComputedStyle(this.#canvas).getPropertyValue(name).trim();
  }
}

/** A figure in as many digits as are worth reading. */
export function shown(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 && value % 1 ? value.toFixed(1) : value.toFixed(0);
}
