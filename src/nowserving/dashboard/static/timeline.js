// The chart of one conversation, as in the report of `nowserving verify`: a thin line while a
// message waits, a bar while it has its turn, coloured by process. Bars climb down like stairs and
// never stand above one another; what runs on after its lock was lost is red.

import { explain, svg } from "./dom.js";
import { clock, duration, place, plain } from "./text.js";

const COLOURS = 8;
const ROW = 13; // pixels
const TALLEST = 300;
const AXIS = 20;
const NARROWEST = 2;
const APART = 74; // pixels from one moment of the axis to the next
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];

/** Return the colour of each process, in the order in which they were seen. */
export class Colours {
  constructor() {
    this.known = new Map();
  }

  of(where) {
    if (!where) return "w7";
    if (!this.known.has(where)) this.known.set(where, `w${this.known.size % COLOURS}`);
    return this.known.get(where);
  }
}

/** Draw turns that were there in the last `seconds` before `now`, `width` pixels wide. */
export function timeline(turns, { now, seconds, width, colours }) {
  const from = now - seconds;
  const shown = turns.filter((turn) => (turn.ended ?? now) >= from);
  const placed = rows(shown, now);
  const used = 1 + Math.max(0, ...placed.map(([, row]) => row));
  const height = Math.min(ROW, TALLEST / used);
  const total = Math.max(3, used) * height + AXIS + 8;
  const x = (at) => Math.max(0, ((at - from) / seconds) * (width - 8));
  const drawing = svg("svg", { class: "timeline", width, height: total, role: "img", "aria-label": words(shown, seconds) });
  drawing.append(...grid(from, now, seconds, x, total));
  for (const [turn, row] of placed) drawing.append(shape(turn, 6 + row * height, height, now, x, colours));
  drawing.append(svg("line", { class: "now", x1: x(now), x2: x(now), y1: 0, y2: total - AXIS }));
  return drawing;
}

/** Return the turns, each with the topmost row that is free when its message comes. */
function rows(turns, now) {
  const freeFrom = [];
  return [...turns]
    .sort((one, other) => one.came - other.came || one.number - other.number)
    .map((turn) => {
      const free = freeFrom.findIndex((moment) => moment <= turn.came);
      const row = free < 0 ? freeFrom.length : free;
      freeFrom[row] = turn.ended ?? now + 1;
      return [turn, row];
    });
}

function* grid(from, now, seconds, x, total) {
  const most = Math.max(1, Math.floor(x(now) / APART));
  const step = STEPS.find((one) => seconds / one <= most) ?? 86400;
  for (let at = Math.ceil(from / step) * step; at < now; at += step) {
    yield svg("line", { class: "grid", x1: x(at), x2: x(at), y1: 0, y2: total - AXIS });
    if (x(at) > 26 && x(now) - x(at) > 22)
      yield svg("text", { class: "tick", x: x(at), y: total - 5, "text-anchor": "middle" }, clock(at));
  }
}

function shape(turn, top, height, now, x, colours) {
  const bar = height * 0.78;
  const ended = turn.ended ?? now;
  const rect = (kind, from, until, y, thick, least = 0) =>
    svg("rect", { class: kind, x: x(from).toFixed(1), y, width: Math.max(least, x(until) - x(from)).toFixed(1), height: thick });
  const open = turn.ended === null ? " open" : "";
  const group = svg("g", { class: `turn ${colours.of(place(turn))}${open}` });
  group.append(rect("wait", turn.came, turn.began ?? ended, top + bar / 2 - 0.75, 1.5));
  if (turn.began !== null) {
    group.append(rect("bar", turn.began, ended, top, bar, NARROWEST));
    if (turn.lost !== null) group.append(rect("clash", turn.lost, ended, top + bar * 0.3, bar * 0.7, NARROWEST));
  }
  explain(group, details(turn, now));
  return group;
}

function details(turn, now) {
  const id = (name, text) => (text === null ? [] : [`${name} ${plain(text)}`]);
  const waited = (turn.began ?? turn.ended ?? now) - turn.came;
  return [
    turn.number < 0 ? "no ticket" : `ticket ${turn.number}`,
    ...id("label", turn.label),
    ...id("message", turn.message_id),
    ...id("on", place(turn) || null),
    `came at ${clock(turn.came)}`,
    `waited ${duration(waited)}`,
    ...(turn.began === null ? [] : [`held ${duration((turn.ended ?? now) - turn.began)}`]),
    ...(turn.lost === null ? [] : [`LOST at ${clock(turn.lost)}`]),
    ...(turn.outcome ? [turn.outcome] : []),
  ].join("\n");
}

function words(turns, seconds) {
  const served = turns.filter((turn) => turn.began !== null).length;
  return `${turns.length} messages in the last ${duration(seconds)}, ${served} of them served`;
}
