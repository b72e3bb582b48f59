// What several views show in the same way.

import { h } from "./element.js";
import { duration, place, wholePlace } from "./format.js";

export const SPLIT = ["run", "ready", "wait"];

/** How a time divides into run, ready and wait, as a bar. They are shares of it, not moments in it. */
export function split({ run, ready, wait }) {
  const total = run + ready + wait;
  if (run === null || run === undefined || !(total > 0)) return null;
  const said = SPLIT.map((part) => `${part} ${duration({ run, ready, wait }[part])}`).join(", ");
  return h("div", { class: "split", role: "img", "aria-label": said, title: said }, parts({ run, ready, wait }));
}

/** The shares alone, in an order of SPLIT's parts. */
export function parts(times, order = SPLIT) {
  const total = SPLIT.reduce((sum, part) => sum + times[part], 0);
  return order.filter((part) => times[part] > 0).map((part) => h("i", { class: part, style: { width: `${(times[part] / total) * 100}%` } }));
}

/** What the colours are. */
export function legend(...more) {
  const entries = [...SPLIT.map((part) => [part, { run: "runs", ready: "ready: waits for its turn on the loop", wait: "waits for something else" }[part]]), ...more];
  return h("ul", { class: "legend" }, entries.map(([kind, words]) => h("li", {}, h("i", { class: kind }), words)));
}

/** A line of code. */
export function code(site, fallback = "not known") {
  if (!site || !site.file) return h("span", { class: "muted" }, fallback);
  return h("span", { class: "code", title: wholePlace(site) }, place(site));
}

/** What a view says that has nothing to show. */
export function empty(title, words, command = null) {
  return h("div", { class: "card empty" }, h("h2", {}, title), h("p", {}, words), command && h("pre", { tabindex: 0 }, command));
}

/** A choice of a few: [value, words]. */
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, words]) =>
    h("button", { "aria-pressed": String(value === chosen), "data-key": `choice ${label} ${value}`, on: { click: () => choose(value) } }, words));
  return h("div", { class: "group", role: "group", "aria-label": label }, buttons);
}

/** Spans of time that a view may be limited to, in minutes; "" is everything. */
export const SINCE = [["5", "5 min"], ["15", "15 min"], ["60", "1 h"], ["", "all"]];

/** `from` of a choice of SINCE. */
export function from(minutes) {
  return minutes ? Math.floor(Date.now() / 1000 - minutes * 60) : "";
}
