// The table of lines: sorted, searched, walked through with the arrow keys.

import { byId, el, say } from "./dom.js";
import { count, duration, place, plain, visible } from "./text.js";

const heldFor = (line) => line.holder?.age ?? null;
const COLUMNS = [
  { key: "id", title: "conversation", of: (line) => line.id },
  { key: "holder", title: "holder", of: (line) => line.holder?.label ?? (line.holder ? place(line.holder) : null) },
  { key: "held", title: "held for", of: heldFor, figure: true },
  { key: "waiting", title: "waiting", of: (line) => line.waiting, figure: true },
  { key: "oldest", title: "oldest wait", of: (line) => line.oldest_wait, figure: true },
];

export class Lines {
  /** `open(line)` looks closer, `release(line)` is the key r. */
  constructor({ open, release }) {
    this.open = open;
    this.release = release;
    this.body = byId("lines-body");
    this.search = byId("search");
    this.rows = new Map();
    this.lines = [];
    this.total = 0;
    this.sort = { key: "oldest", down: true };
    this.chosen = null; // the id of the row that Tab comes to
    this.opened = null;
    this.makeHead();
    this.search.addEventListener("input", () => this.draw());
    this.search.addEventListener("keydown", (event) => this.onSearchKey(event));
    this.body.addEventListener("keydown", (event) => this.onKey(event));
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      // Whoever marks text in a row does not want to open it.
      if (row && getSelection().isCollapsed) this.open(row.line.id);
    });
    this.body.addEventListener("focusin", (event) => this.choose(event.target.closest("tr")));
  }

  makeHead() {
    for (const column of COLUMNS) {
      const button = el("button", { type: "button" }, column.title);
      button.addEventListener("click", () => {
        const again = this.sort.key === column.key;
        this.sort = { key: column.key, down: again ? !this.sort.down : Boolean(column.figure) };
        this.draw();
      });
      const attributes = { role: "columnheader", scope: "col", class: column.key };
      byId("lines-head").append((column.head = el("th", attributes, button)));
    }
  }

  /** Show these lines, of so many there are; some records may make no sense. */
  show(lines, total, unreadable) {
    this.lines = lines;
    this.total = total;
    say(byId("lines-unreadable"), unreadable ? `${count(unreadable)} records can't be read` : "");
    this.draw();
  }

  /** Mark the line that is looked at closely, null for none. */
  mark(id) {
    this.opened = id;
    for (const [other, row] of this.rows) row.toggleAttribute("aria-current", other === id);
  }

  /** Return the chosen line, if it is still there. */
  get current() {
    return this.rows.get(this.chosen)?.line ?? null;
  }

  focus(id) {
    (this.rows.get(id) ?? this.rows.get(this.chosen) ?? this.body.querySelector("tr") ?? this.search).focus();
  }

  draw() {
    const { key, down } = this.sort;
    for (const column of COLUMNS) {
      const order = down ? "descending" : "ascending";
      column.head.setAttribute("aria-sort", column.key === key ? order : "none");
    }
    const shown = this.found();
    const of = COLUMNS.find((column) => column.key === key).of;
    // While somebody points at a row or has chosen it, rows stay where they are.
    if (this.body.matches(":hover, :focus-within") && key === this.lastKey && down === this.lastDown) {
      const places = new Map([...this.body.rows].map((row, index) => [row.line.id, index]));
      shown.sort((one, other) => (places.get(one.id) ?? 1e9) - (places.get(other.id) ?? 1e9));
    } else shown.sort((one, other) => compare(of(one), of(other), down) || compare(one.id, other.id, false));
    [this.lastKey, this.lastDown] = [key, down];
    this.put(shown);
    const hidden = this.total - this.lines.length;
    const words = shown.length === this.lines.length ? count(this.total) : `${shown.length} of ${count(this.total)}`;
    say(byId("lines-count"), hidden > 0 ? `${words}; the longest ${shown.length} shown` : words);
    const empty = byId("lines-empty");
    empty.hidden = shown.length > 0;
    say(empty, this.search.value ? "None of the lines shown. Enter looks at the conversation with this very id." : "Nobody holds or waits.");
  }

  found() {
    const wanted = this.search.value.trim().toLowerCase();
    if (!wanted) return [...this.lines];
    return this.lines.filter(({ id, holder }) =>
      [id, plain(id), holder?.label, holder?.message_id, place(holder)].some((text) => text?.toLowerCase().includes(wanted)),
    );
  }

  put(lines) {
    const longest = Math.max(1, ...lines.map((line) => line.waiting));
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
    const there = new Set(lines.map((line) => line.id));
    const index = focused ? [...this.body.rows].indexOf(focused) : 0;
    for (const [id, row] of this.rows)
      if (!there.has(id)) {
        row.remove();
        this.rows.delete(id);
      }
    lines.forEach((line, at) => {
      let row = this.rows.get(line.id);
      if (!row) this.rows.set(line.id, (row = makeRow(line.id)));
      fill(row, line, longest);
      if (this.body.rows[at] !== row) this.body.insertBefore(row, this.body.rows[at] ?? null);
    });
    this.mark(this.opened);
    // A row that moved has lost the focus; of one that is gone the next one gets it.
    if (focused && !focused.isConnected) this.body.rows[Math.min(index, lines.length - 1)]?.focus();
    else if (focused && document.activeElement !== focused && !document.querySelector("dialog[open]")) focused.focus();
    if (!this.rows.has(this.chosen)) this.choose(this.body.rows[0]);
  }

  choose(row) {
    this.chosen = row?.line.id ?? null;
    for (const other of this.body.rows) other.tabIndex = other === row ? 0 : -1;
  }

  onKey(event) {
    const row = event.target.closest("tr");
    const rows = [...this.body.rows];
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) {
      if (to < 0 && event.key === "ArrowUp") this.search.focus();
      else rows[Math.max(0, Math.min(to, rows.length - 1))].focus();
    } else if (event.key === "Enter" || event.key === " ") this.open(row.line.id);
    else if (event.key === "r") this.release(row.line);
    else return;
    event.preventDefault();
  }

  onSearchKey(event) {
    const text = this.search.value;
    if (event.key === "ArrowDown") this.focus(this.chosen);
    else if (event.key === "Enter" && text) this.open(this.lines.find((line) => line.id === text || plain(line.id) === text)?.id ?? text);
    else if (event.key === "Escape") {
      this.search.value = "";
      this.draw();
      this.focus(this.chosen);
      event.stopPropagation();
    } else return;
    event.preventDefault();
  }
}

function compare(one, other, down) {
  if (one === other) return 0;
  if (one === null || other === null) return one === null ? 1 : -1; // nothing comes last
  return (one < other ? -1 : 1) * (down ? -1 : 1);
}

function makeRow(id) {
  const cell = (key, ...children) => el("td", { role: "cell", class: key }, ...children);
  const row = el("tr", { role: "row", tabindex: -1 }, cell("id", visible(id)));
  row.cells_ = {};
  for (const { key, title } of COLUMNS.slice(1)) row.append((row.cells_[key] = cell(key)));
  for (const { key, title } of COLUMNS.slice(1)) row.cells_[key].dataset.title = title;
  const bar = el("span", { class: "bar" });
  row.cells_.waiting.append(bar, el("span", { class: "number" }));
  return row;
}

function fill(row, line, longest) {
  row.line = line;
  const { holder, held, waiting, oldest } = row.cells_;
  const key = JSON.stringify([line.holder?.label, place(line.holder)]);
  if (holder.dataset.key !== key) {
    holder.dataset.key = key;
    holder.replaceChildren(...whose(line.holder));
  }
  say(held, line.holder ? duration(line.holder.age) : "–");
  waiting.firstChild.style.width = `${(line.waiting / longest) * 100}%`;
  say(waiting.lastChild, count(line.waiting));
  say(oldest, duration(line.oldest_wait));
}

/** Return what says who has a ticket: its label, and its process. */
export function whose(ticket) {
  if (!ticket) return [el("span", { class: "soft" }, "nobody yet")];
  const where = place(ticket);
  const process = where ? visible(where, { class: ticket.label ? "id soft beside" : "id soft" }) : null;
  if (ticket.label) return [visible(ticket.label), ...(process ? [" ", process] : [])];
  return [process ?? el("span", { class: "soft" }, "a process that is not known")];
}
