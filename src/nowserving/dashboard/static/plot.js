// The last minutes as lines: drawn anew at each sample, with gaps where nobody looked.

import { byId, showTip, svg } from "./dom.js";
import { clock } from "./text.js";

const WINDOWS = [60, 120, 300, 600]; // seconds: the smallest that has all samples is shown
const STEPS = { 60: 15, 120: 30, 300: 60, 600: 120 }; // of the axis
const HEIGHT = 132;
const LEFT = 40;
const BOTTOM = 20;
const TOP = 8;
const GAP = 12; // seconds without a sample

/** One plot. A series is {name, of(sample), fill}; `words` puts a value into words. */
export class Plot {
  constructor(id, series, words, floor) {
    this.place = byId(id);
    this.series = series;
    this.words = words;
    this.floor = floor;
    this.samples = [];
    new ResizeObserver(() => this.draw()).observe(this.place);
    this.place.addEventListener("pointermove", (event) => this.point(event));
    this.place.addEventListener("pointerleave", () => this.cursor?.setAttribute("visibility", "hidden"));
  }

  show(samples) {
    this.samples = samples;
    this.draw();
  }

  draw() {
    const width = this.place.clientWidth;
    if (!width) return;
    const now = this.samples.at(-1)?.[0] ?? Date.now() / 1000;
    const span = now - (this.samples[0]?.[0] ?? now);
    const window = WINDOWS.find((seconds) => seconds >= span) ?? WINDOWS.at(-1);
    const shown = this.samples.filter((sample) => sample[0] >= now - window);
    const values = shown.flatMap((sample) => this.series.map((one) => one.of(sample) ?? 0));
    const top = nice(Math.max(this.floor, ...values));
    this.now = now;
    this.x = (at) => LEFT + ((at - now + window) / window) * (width - LEFT - 6);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    const drawing = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": this.summary() });
    for (const part of [0, 0.5, 1]) {
      const at = y(part * top);
      drawing.append(
        svg("line", { class: "grid", x1: LEFT, x2: width - 6, y1: at, y2: at }),
        svg("text", { class: "tick", x: LEFT - 6, y: at + 4, "text-anchor": "end" }, this.words(part * top)),
      );
    }
    const step = STEPS[window] * (width < 420 ? 2 : 1);
    for (let ago = 0; ago < window; ago += step) {
      const words = !ago ? "now" : ago % 60 ? `−${ago} s` : `−${ago / 60} min`;
      const anchor = ago ? "middle" : "end";
      drawing.append(svg("text", { class: "tick", x: this.x(now - ago), y: HEIGHT - 4, "text-anchor": anchor }, words));
    }
    for (const one of this.series)
      for (const piece of pieces(shown, one.of)) {
        const points = piece.map((sample) => `${this.x(sample[0]).toFixed(1)} ${y(one.of(sample)).toFixed(1)}`);
        const line = `M${points.join("L")}`;
        const [first, last] = [this.x(piece[0][0]), this.x(piece.at(-1)[0])];
        if (one.fill) drawing.append(svg("path", { class: `area ${one.name}`, d: `${line}L${last} ${y(0)}L${first} ${y(0)}Z` }));
        drawing.append(svg("path", { class: `curve ${one.name}`, d: line }));
        if (piece.at(-1) === this.samples.at(-1))
          drawing.append(svg("circle", { class: `dot ${one.name}`, r: 3, cx: last, cy: y(one.of(piece.at(-1))) }));
      }
    this.cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    drawing.append(this.cursor);
    this.place.replaceChildren(drawing);
  }

  summary() {
    const last = this.samples.at(-1);
    if (!last) return "nothing yet";
    return this.series.map((one) => `${one.name} ${this.words(one.of(last) ?? 0)}`).join(", ");
  }

  point(event) {
    const box = this.place.getBoundingClientRect();
    const near = (sample) => Math.abs(this.x(sample[0]) - (event.clientX - box.left));
    const best = this.samples.reduce((one, other) => (one && near(one) <= near(other) ? one : other), null);
    if (!best || near(best) > 12) return;
    this.cursor.setAttribute("x1", this.x(best[0]));
    this.cursor.setAttribute("x2", this.x(best[0]));
    this.cursor.setAttribute("visibility", "visible");
    const said = this.series.map((one) => {
      const value = one.of(best);
      return `${one.name}: ${value === null ? "the store did not answer" : this.words(value)}`;
    });
    showTip([clock(best[0]), ...said].join("\n"), event.clientX, event.clientY);
    event.stopPropagation(); // or the tip would be hidden
  }
}

function* pieces(samples, of) {
  let piece = [];
  for (const sample of samples) {
    const broken = piece.length && sample[0] - piece.at(-1)[0] > GAP;
    if (piece.length && (broken || of(sample) === null)) {
      yield piece;
      piece = [];
    }
    if (of(sample) !== null) piece.push(sample);
  }
  if (piece.length) yield piece;
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}
