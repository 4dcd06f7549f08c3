// Words and figures. Ids are strangers' words: what can't be seen in them, or turns the text
// around them, is shown as an escape.

import { el } from "./dom.js";

// Control and format characters, halves of surrogate pairs, line ends; but a joiner between two
// parts of an emoji belongs to it.
const UNSEEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]|(?!\u200d)\p{Cf}|(?<![\p{Extended_Pictographic}\ufe0f\u{1f3fb}-\u{1f3ff}])\u200d/gu;

function escape(character) {
  const code = character.codePointAt(0);
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (short) return short;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\u{${hex}}`;
}

/** Return a text with escapes, for where there can be no elements. */
export const plain = (text) => text.replace(UNSEEN, escape);

/** Return an element with a text that stays in its own box, and its escapes marked. */
export function visible(text, attributes = {}) {
  const shown = el("bdi", { class: "id", title: plain(text), ...attributes });
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    shown.append(text.slice(from, found.index), el("span", { class: "escape" }, escape(found[0])));
    from = found.index + found[0].length;
  }
  shown.append(text.slice(from));
  return shown;
}

/** Return a duration in words: "0.4 s", "12 s", "3 min 05 s", "2 h 10 min", "3 d 4 h". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const two = (number) => String(number).padStart(2, "0");

/** Return a count with its thousands apart. */
export const count = (number) =>
  number === null || number === undefined ? "–" : number.toLocaleString("en").replaceAll(",", "\u202f");

/** Return where a ticket's process is: "host:pid". */
export function place(ticket) {
  if (!ticket || ticket.pid === null) return "";
  return `${ticket.host ?? "?"}:${ticket.pid}`;
}

/** Return a moment as the clock on the wall shows it. */
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
