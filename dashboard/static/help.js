// The keys, in a dialog that `?` opens.

import { h } from "./element.js";

const NAMES = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Enter: "Enter", Escape: "Esc", " ": "Space" };

export class Help {
  /** `keys()` gives {page, view}: {key: [what it does, function]} each. */
  constructor(keys) {
    this.keys = keys;
    this.dialog = h("dialog", { "aria-label": "Keys", on: { keydown: (event) => this.#press(event) } });
    document.body.append(this.dialog);
  }

  // The page hears keys too, and would open it again.
  #press(event) {
    if (event.key !== "?") return;
    event.stopPropagation();
    this.toggle();
  }

  toggle() {
    if (this.dialog.open) {
      this.dialog.close();
      return;
    }
    const { page, view } = this.keys();
    this.dialog.replaceChildren(
      h("div", { class: "head" }, h("h2", {}, "Keys"), h("div", { class: "end" }, h("button", { on: { click: () => this.dialog.close() } }, "Close"))),
      list("In this view", view),
      list("Everywhere", page),
    );
    this.dialog.showModal();
  }
}

function list(title, keys) {
  const together = new Map();
  for (const [key, [what]] of Object.entries(keys)) together.set(what, [...(together.get(what) ?? []), key]);
  if (together.size === 0) return null;
  return h(
    "section",
    {},
    h("h3", {}, title),
    h("dl", { class: "keys" }, [...together].map(([what, names]) => [
      h("dt", {}, names.map((name) => h("kbd", {}, NAMES[name] ?? name))),
      h("dd", {}, what),
    ])),
  );
}
