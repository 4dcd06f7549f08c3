// Questions: whether a ticket is to be released, and which the token is.

import { byId, el, say } from "./dom.js";
import { whose } from "./lines.js";
import { duration, visible } from "./text.js";

const dialog = byId("ask");
const form = byId("ask-form");
const input = byId("ask-input");
const wrong = byId("ask-wrong");
let answer = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  answer?.(input.value);
});
byId("ask-no").addEventListener("click", () => dialog.close());

/** Ask; `act(text)` does it and returns what was wrong, or nothing if it is done. */
function ask({ title, text, label, kind, yes, danger, act }) {
  if (dialog.open) dialog.close();
  say(byId("ask-title"), title);
  byId("ask-text").replaceChildren(...text);
  say(byId("ask-label").firstElementChild, label);
  input.type = kind;
  input.value = "";
  input.maxLength = 200;
  const button = byId("ask-yes");
  say(button, yes);
  button.classList.toggle("danger", danger);
  say(wrong, "");
  const before = document.activeElement;
  return new Promise((done) => {
    let result = false;
    answer = async (given) => {
      button.disabled = true;
      const complaint = await act(given);
      button.disabled = false;
      if (complaint) {
        say(wrong, complaint);
        input.focus();
      } else {
        result = true;
        dialog.close();
      }
    };
    dialog.addEventListener("close", () => {
      answer = null;
      if (before?.isConnected) before.focus();
      done(result);
    }, { once: true });
    dialog.showModal();
    (danger ? button : input).focus();
  });
}

/** Ask whether this ticket is to leave its line. */
export function askRelease(id, ticket, holds, act) {
  const what = holds
    ? "Whoever holds it loses the lock, and the next one is served. A handler that does not look at lock.lost runs on beside it."
    : "It leaves the line, and its owner gets LockReleased.";
  return ask({
    title: `Release ticket ${ticket.number}?`,
    text: [
      el("p", {}, "of ", visible(id, { class: "id strong" })),
      el("p", {}, holds ? "held by " : "waits for ", ...whose(ticket), ` for ${duration(ticket.age)}`),
      el("p", { class: "soft" }, what),
    ],
    label: "Reason, which its owner is told (optional)",
    kind: "text",
    yes: "Release",
    danger: true,
    act,
  });
}

/** Ask for the token. */
export function askToken(act) {
  return ask({
    title: "The token, please",
    text: [el("p", { class: "soft" }, "It was printed where the dashboard was started, behind its address, or set as NOWSERVING_DASHBOARD_TOKEN.")],
    label: "Token",
    kind: "password",
    yes: "Continue",
    danger: false,
    act,
  });
}
