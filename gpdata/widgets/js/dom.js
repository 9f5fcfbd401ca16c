// What all parts of the explorer make their elements with.

// Make an element: properties that begin with "on" are listeners, others attributes; null and false are left out.
function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Replace what an element holds, and keep the focus on the element of the same data-key, and how far parts are scrolled.
function fill(element, ...children) {
  const held = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const places = [...element.querySelectorAll("[data-scroll]")].map((part) => [part.dataset.scroll, part.scrollTop, part.scrollLeft]);
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  for (const [name, top, left] of places) element.querySelector(`[data-scroll="${CSS.escape(name)}"]`)?.scrollTo(left, top);
  if (held) element.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

const thousands = (number) => number.toLocaleString("en");
const several = (number, what) => `${thousands(number)} ${what}${number === 1 ? "" : "s"}`;

function ago(seconds) {
  if (seconds === null || seconds === undefined) return "age not known";
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]])
    if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${unit}s ago`;
  return `${Math.floor(seconds)} s ago`;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Only pages of https and of this machine may use the clipboard; the older way works on others.
    const area = h("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// A part that can be folded; it stays as a person left it when it is drawn anew.
const folded = new Map();
function fold(key, title, open, given, ...children) {
  const details = h("details", { ...given, open: folded.get(key) ?? open },
    h("summary", { "data-key": key, title, onclick: () => folded.set(key, !details.open) }, title), ...children);
  return details;
}

// A block of code with a button that copies it.
function codeBlock(text, title, open) {
  const button = h("button", { type: "button", class: "gpx-button", "data-key": `copy ${title}`,
    "aria-label": `Copy: ${title}`, onclick: async () => {
      button.textContent = (await copy(text)) ? "Copied" : "Select it and press Ctrl-C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    } }, "Copy");
  return fold(`code ${title}`, title, open, { class: "gpx-code" },
    h("div", { class: "gpx-code-body" }, h("pre", { tabindex: "0", "aria-label": title }, h("code", {}, text)), button));
}

const problem = (text) => h("p", { class: "gpx-problem", role: "alert" }, text);
