// What the page is made of, and how its parts hear of one another.

import { askRelease, askToken } from "./ask.js";
import { Detail } from "./detail.js";
import { byId, el, say } from "./dom.js";
import { Lines } from "./lines.js";
import { Plot } from "./plot.js";
import { Stream } from "./stream.js";
import { clock, count, duration, place, visible } from "./text.js";

const TOKEN = "nowserving-token";
const MOST_SAMPLES = 600;

let samples = [];
let canRelease = false;
let trouble = null;
let state = "connecting";

// The token

function takeToken() {
  const found = /^#token=([^&]+)$/.exec(location.hash);
  if (!found) return false;
  sessionStorage.setItem(TOKEN, decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search); // it stays in no history
  return true;
}

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { "X-Nowserving-Token": token } : {};
}

function unlock() {
  return askToken((given) => {
    if (!given) return "A token is wanted.";
    sessionStorage.setItem(TOKEN, given);
    return null;
  });
}

// What comes

const counts = new Plot(
  "plot-counts",
  [
    { name: "waiting", of: (sample) => sample[1], fill: true },
    { name: "held", of: (sample) => sample[2] },
  ],
  (value) => count(Math.round(value * 10) / 10),
  4,
);
const oldest = new Plot("plot-oldest", [{ name: "oldest", of: (sample) => sample[3], fill: true }], short, 4);

function short(seconds) {
  if (seconds < 120) return `${Math.round(seconds * 10) / 10} s`;
  return seconds < 7200 ? `${Math.round(seconds / 6) / 10} min` : `${Math.round(seconds / 360) / 10} h`;
}

const tellers = {
  hello(news) {
    say(byId("store"), news.title);
    document.title = news.title ? `${news.title} · nowserving` : "nowserving";
    canRelease = detail.canRelease = news.can_release;
    byId("key-release").hidden = !canRelease;
    samples = news.recent;
  },
  survey(news) {
    trouble = news.trouble;
    samples = [...samples, news.sample].slice(-MOST_SAMPLES);
    counts.show(samples);
    oldest.show(samples);
    if (news.survey) {
      showSurvey(news.survey);
      seen = news.at;
    }
    showState();
  },
  line(news) {
    detail.update(news);
  },
};
let seen = null; // when the store has answered last

function showSurvey(survey) {
  say(byId("held"), count(survey.held));
  say(byId("waiting"), count(survey.waiting));
  say(byId("oldest"), duration(survey.oldest_wait));
  say(byId("conversations"), count(survey.conversations));
  lines.show(survey.lines, survey.conversations, survey.unreadable);
  showProcesses(survey.processes);
}

function showProcesses(processes) {
  const order = (one) => one.holding + one.waiting;
  const sorted = [...processes].sort((one, other) => order(other) - order(one) || (place(one) < place(other) ? -1 : 1));
  say(byId("processes-count"), sorted.length ? count(sorted.length) : "");
  byId("processes-empty").hidden = sorted.length > 0;
  byId("processes").replaceChildren(
    ...sorted.map((one) =>
      el("li", {},
        one.pid === null ? el("span", { class: "soft" }, "not known") : visible(place(one)),
        el("span", { class: "soft" }, `holds ${count(one.holding)}, waits with ${count(one.waiting)}`))),
  );
}

function showState() {
  const shown = state === "live" && trouble ? "down" : state;
  const words = { connecting: "connecting", live: "live", down: "store down", lost: "no connection", locked: "locked", away: "paused" };
  const pill = byId("state");
  pill.dataset.state = shown;
  say(pill, words[shown]);
  document.body.classList.toggle("stale", shown !== "live");
  const banner = byId("trouble");
  const since = seen === null ? "" : ` What is shown is of ${clock(seen)}.`;
  banner.hidden = !["down", "lost", "locked"].includes(shown);
  if (shown === "locked") say(banner, "The token is missing or wrong. Load the page again to give it.");
  if (shown === "down") say(banner, `The store does not answer since ${clock(trouble.since)}: ${trouble.why}${since}`);
  if (shown === "lost") say(banner, `The dashboard does not answer; trying again.${since}`);
}

const stream = new Stream({
  headers,
  tell: (event, data) => tellers[event]?.(data),
  async state(now) {
    state = now;
    showState();
    if (now === "locked") {
      if (await unlock()) stream.begin();
    }
  },
});

// What is done

const lines = new Lines({
  open: (id) => go(id),
  release: (line) => line.holder && release(line.id, line.holder, true),
});
const detail = new Detail({
  close: () => go(null),
  release: (id, ticket) => release(id, ticket, ticket.number === detail.news?.line.holder?.number),
});

/** Look at a conversation closely, or at none. The address says so: it can be kept and sent. */
function go(id) {
  const target = id === null ? "" : `#conversation=${encodeURIComponent(JSON.stringify(id))}`;
  if (location.hash !== target) history.pushState(null, "", location.pathname + location.search + target);
  follow();
}

function follow() {
  const found = /^#conversation=(.+)$/.exec(location.hash);
  let id = null;
  try {
    id = found ? JSON.parse(decodeURIComponent(found[1])) : null;
  } catch {
    // An address that somebody cut off: no conversation.
  }
  if (typeof id !== "string" || !id) id = null;
  const before = stream.conversation;
  document.body.classList.toggle("looks-closely", id !== null);
  lines.mark(id);
  if (id === null) {
    detail.hide();
    if (before !== null) lines.focus(before);
  } else if (id !== before) detail.show(id);
  stream.follow(id);
}

async function release(id, ticket, holds) {
  if (!canRelease) return;
  if (!headers()["X-Nowserving-Token"]) await unlock();
  if (!headers()["X-Nowserving-Token"]) return;
  await askRelease(id, ticket, holds, async (reason) => {
    const asked = { id, number: ticket.number, reason: reason || "released from the dashboard" };
    try {
      const answer = await fetch(new URL("api/release", document.baseURI), {
        method: "POST",
        headers: { ...headers(), "Content-Type": "application/json" },
        body: JSON.stringify(asked),
        cache: "no-store",
        redirect: "error",
      });
      if (answer.status === 401) sessionStorage.removeItem(TOKEN);
      if (!answer.ok) return await answer.text();
      const { released } = await answer.json();
      toast(released ? `Ticket ${ticket.number} is released.` : `Ticket ${ticket.number} was not in line any more.`);
      return null;
    } catch {
      return "The dashboard does not answer.";
    }
  });
}

let hiding = 0;
function toast(words) {
  const place = byId("toast");
  say(place, words);
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (place.hidden = true), 4000);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const writes = event.target.closest("input");
  if (event.key === "Escape" && stream.conversation !== null) go(null);
  else if (event.key === "/" && !writes) byId("search").focus();
  else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target === document.body) lines.focus(lines.chosen);
  else if (event.key === "r" && !writes && lines.current?.holder) release(lines.current.id, lines.current.holder, true);
  else return;
  event.preventDefault();
});
addEventListener("popstate", follow);
addEventListener("hashchange", () => {
  if (takeToken()) stream.begin();
  follow();
});

takeToken();
follow();
stream.begin();
