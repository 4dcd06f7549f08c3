// Making elements. Text is only ever set as text: the page's policy forbids anything else.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Make an element with attributes, classes ("a b"), and children (elements or text). */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for a shape. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Set an element's text if it is another one: what stands still can be selected and read. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const tip = byId("tip");
const details = new WeakMap();

/** Show a text beside the pointer while it is over the element. */
export function explain(element, text) {
  details.set(element, text);
  element.classList.add("explained");
}

addEventListener("pointermove", (event) => {
  const at = event.target instanceof Element ? event.target.closest(".explained") : null;
  if (at) showTip(details.get(at), event.clientX, event.clientY);
  else if (!tip.dataset.held) tip.hidden = true;
});

/** Show a text beside a point of the window. */
export function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  const below = y + 16;
  tip.style.top = `${below + box.height > innerHeight ? y - box.height - 10 : below}px`;
}
