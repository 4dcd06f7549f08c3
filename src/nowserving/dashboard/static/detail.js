// One conversation closely: who holds, who waits, what became of its turns.

import { byId, el, explain, say } from "./dom.js";
import { whose } from "./lines.js";
import { Colours, timeline } from "./timeline.js";
import { clock, count, duration, place, plain, visible } from "./text.js";

const WINDOWS = [
  [60, "1 min"],
  [300, "5 min"],
  [1800, "30 min"],
];

const MOST_PIECES = 3; // of a wait that are put into words
const NOT_HELD = {
  "handed over": "while it was handed over",
  settling: "while the line settled",
  answering: "for the store's answer",
  expiring: "until a ticket expired",
  nobody: "while nobody is recorded to hold it",
};

export class Detail {
  /** `close()` goes back, `release(id, ticket)` asks whether to. */
  constructor({ close, release }) {
    this.close = close;
    this.release = release;
    this.place = byId("detail");
    this.canRelease = false;
    this.seconds = WINDOWS[0][0];
    this.place.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.drawChart()).observe(this.place);
  }

  /** Make the view of a conversation, empty until the first news of it comes. */
  show(id) {
    this.id = id;
    this.news = null;
    this.colours = new Colours();
    const back = el("button", { type: "button", class: "close", "aria-label": "Back to the lines" }, "×");
    back.addEventListener("click", () => this.close());
    this.parts = {
      summary: el("p", { class: "summary" }, "…"),
      chart: el("div", { class: "chart" }),
      legend: el("ul", { class: "legend" }),
      why: el("div", { class: "why", hidden: true }),
      tickets: el("ol", { class: "tickets", "aria-label": "In line" }),
      more: el("p", { class: "empty", hidden: true }),
      events: el("ol", { class: "events", "aria-label": "What happened, the newest first" }),
    };
    const { summary, chart, legend, why, tickets, more, events } = this.parts;
    this.eventsTitle = el("h3", { hidden: true }, "What happened");
    this.place.replaceChildren(
      el("header", {}, el("h2", {}, visible(id)), back),
      summary,
      el("div", { class: "tools" }, el("h3", {}, "Timeline"), this.makeWindows()),
      chart,
      legend,
      el("h3", {}, "In line"),
      tickets,
      more,
      why,
      this.eventsTitle,
      events,
    );
    this.place.setAttribute("aria-label", `Conversation ${plain(id)}`);
    this.place.hidden = false;
    this.place.focus();
    if (this.place.getBoundingClientRect().top < 0 || matchMedia("(max-width: 1020px)").matches)
      this.place.scrollIntoView({ block: "start" });
  }

  hide() {
    this.id = null;
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  makeWindows() {
    const group = el("div", { class: "windows", role: "group", "aria-label": "How much of the past" });
    for (const [seconds, words] of WINDOWS) {
      const button = el("button", { type: "button", "aria-pressed": String(seconds === this.seconds) }, words);
      button.addEventListener("click", () => {
        this.seconds = seconds;
        for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
        this.drawChart();
      });
      group.append(button);
    }
    return group;
  }

  /** Take in what the server says of the conversation. */
  update(news) {
    if (news.id !== this.id) return;
    this.place.classList.toggle("stale", !news.line);
    if (!news.line) return;
    this.news = news;
    const { holder, waiting, more, events, why } = news.line;
    this.parts.summary.replaceChildren(...summary(holder, waiting.length + more));
    this.drawChart();
    this.putTickets(holder, waiting);
    this.parts.more.hidden = !more;
    say(this.parts.more, `and ${count(more)} more`);
    this.eventsTitle.hidden = !events.length;
    this.putEvents(events);
    this.parts.why.hidden = !why?.length;
    this.putWhy(why ?? []);
  }

  drawChart() {
    if (!this.news || this.place.hidden) return;
    const { chart, legend } = this.parts;
    const width = chart.clientWidth;
    const options = { now: this.news.at, seconds: this.seconds, width, colours: this.colours };
    if (width) chart.replaceChildren(timeline(this.news.line.turns, options));
    if (legend.childElementCount === this.colours.known.size) return;
    legend.replaceChildren(
      ...[...this.colours.known].map(([where, colour]) =>
        el("li", {}, el("i", { class: `swatch ${colour}` }), visible(where))),
    );
  }

  putTickets(holder, waiting) {
    const there = [...(holder ? [holder] : []), ...waiting];
    const list = this.parts.tickets;
    const old = new Map([...list.children].map((row) => [row.key, row]));
    const focused = list.contains(document.activeElement);
    const next = there.map((ticket, index) => {
      const key = `${ticket.number} ${ticket.label} ${ticket.message_id} ${place(ticket)}`;
      const row = old.get(key) ?? this.makeTicket(ticket, key);
      fillTicket(row, ticket, ticket === holder ? null : index + (holder ? 0 : 1));
      row.tabIndex = -1;
      return row;
    });
    next.forEach((row, at) => {
      if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
    });
    while (list.children.length > next.length) list.lastChild.remove();
    const current = next.find((row) => row.contains(document.activeElement)) ?? next[0];
    if (current) current.tabIndex = 0;
    if (focused && !list.contains(document.activeElement) && !document.querySelector("dialog[open]")) (current ?? this.place).focus();
    if (!next.length && !list.nextSibling?.classList.contains("nobody"))
      list.after(el("p", { class: "empty nobody" }, "Nobody is in line."));
    if (next.length && list.nextSibling?.classList.contains("nobody")) list.nextSibling.remove();
  }

  makeTicket(ticket, key) {
    const row = el("li", { class: "ticket" });
    row.key = key;
    row.badge = el("span", { class: "badge" });
    row.figures = el("span", { class: "figures" });
    row.state = el("span", { class: "soft state-words" });
    const message = ticket.message_id === null ? null : el("span", { class: "message" }, "message ", visible(ticket.message_id));
    row.append(
      row.badge,
      el("div", { class: "who" }, el("div", {}, ...whose(ticket)), el("div", { class: "soft" }, `ticket ${ticket.number}`, ...(message ? [" · ", message] : []), " ", row.state)),
      row.figures,
    );
    if (this.canRelease) {
      const button = el("button", { type: "button", class: "release", "aria-label": `Release ticket ${ticket.number}`, "aria-keyshortcuts": "r" }, "Release");
      button.addEventListener("click", () => this.release(this.id, row.ticket));
      row.append(button);
    }
    return row;
  }

  putEvents(events) {
    const list = this.parts.events;
    const key = events.length ? `${events.length} ${events[0].at} ${events[0].kind}` : "";
    if (list.key === key) return;
    list.key = key;
    list.replaceChildren(...events.map(eventRow));
  }

  putWhy(why) {
    const key = JSON.stringify(why);
    if (this.parts.why.key === key) return;
    this.parts.why.key = key;
    this.parts.why.replaceChildren(
      el("h3", {}, "Why they waited"),
      ...why.map((wait) => this.makeWait(wait)),
    );
  }

  makeWait({ at, number, message_id, seconds, waits, pieces, words }) {
    const bar = el("div", { class: "pieces", role: "img", "aria-label": plain(words) });
    const told = [];
    for (const piece of pieces) {
      const held = piece.kind === "held";
      const part = el("span", { class: held ? this.colours.of(place(piece)) : "nobody" });
      part.style.flexGrow = Math.max(piece.seconds / seconds, 0.004);
      bar.append(part);
      const behind = held ? `behind ticket ${piece.number}` : (NOT_HELD[piece.kind] ?? piece.kind);
      const how = held && piece.outcome && piece.outcome !== "done" ? ` (${piece.outcome})` : "";
      told.push([piece.seconds, `${duration(piece.seconds)} ${behind}${how}`]);
    }
    explain(bar, plain(words));
    told.sort((one, other) => other[0] - one[0]);
    const rest = told.slice(MOST_PIECES);
    const shown = told.slice(0, MOST_PIECES).map((one) => one[1]);
    if (rest.length) shown.push(`and ${rest.length} more`);
    const who = el("span", {}, number < 0 ? "no ticket" : `ticket ${number}`);
    if (message_id !== null) who.append(" · message ", visible(message_id));
    const took = el("strong", {}, `${waits ? "waits" : "waited"} ${duration(seconds)}`);
    return el("div", { class: "wait-told" },
      el("div", { class: "wait-head" }, el("time", {}, clock(at)), who, took),
      bar,
      el("p", { class: "soft" }, shown.join(", ")));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button") && event.key === "Enter") return;
    const rows = [...this.parts.tickets.children];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to !== undefined && rows.length) {
      const row = rows[Math.max(0, Math.min(to, rows.length - 1))];
      for (const other of rows) other.tabIndex = other === row ? 0 : -1;
      row.focus();
    } else if (event.key === "r" && this.canRelease) {
      const row = rows[Math.max(0, at)];
      if (row) this.release(this.id, row.ticket);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function summary(holder, waiting) {
  const strong = (text) => el("strong", {}, text);
  const behind = waiting === 1 ? "1 waits" : `${count(waiting)} wait`;
  if (!holder && !waiting) return ["Nobody holds or waits."];
  if (!holder) return ["Nobody holds it yet; ", strong(behind), "."];
  return [
    "Held for ", strong(duration(holder.age)), ", lease left ", strong(duration(holder.expires_in)), "; ", strong(behind), ".",
  ];
}

function fillTicket(row, ticket, position) {
  row.ticket = ticket;
  row.classList.toggle("holds", position === null);
  say(row.badge, position === null ? "holds" : String(position));
  const states = [];
  if (ticket.settling) states.push("settling");
  if (ticket.absorbed) states.push("absorbed by the holder");
  say(row.state, states.length ? `· ${states.join(", ")}` : "");
  const verb = position === null ? "held" : "waits";
  say(row.figures, `${verb} ${duration(ticket.age)} · ${duration(ticket.expires_in)} left`);
}

function eventRow(event) {
  const where = place(event);
  const said = [];
  if (event.number >= 0) said.push(el("span", {}, `ticket ${event.number}`));
  if (event.label) said.push(visible(event.label));
  if (event.message_id) said.push(el("span", {}, "message ", visible(event.message_id)));
  if (where) said.push(visible(where, { class: "id soft" }));
  for (const words of event.words) said.push(visible(words, { class: "soft" }));
  return el("li", {}, el("time", {}, clock(event.at)), el("span", { class: `kind ${event.kind}` }, event.kind), el("span", { class: "said" }, ...said.flatMap((part) => [part, " "])));
}
