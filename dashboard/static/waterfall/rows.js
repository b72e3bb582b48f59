// The lines of a waterfall. Only those in sight exist: a trace may have twenty thousand.
//
// The focus is on the tree as a whole and `aria-activedescendant` names the line, so that scrolling
// a line out of existence does not lose the focus.

import { h } from "../element.js";
import { duration } from "../format.js";
import { parts } from "../parts.js";

export const LINE = 28; // px, as in waterfall.css
const SPARE = 12; // lines above and below what is in sight
// What happens once only is drawn as it happened: it waits, is due, runs. Of others, tasks above
// all, only the shares are known.
const MOMENTS = { TimerHandle: ["wait", "ready", "run"], ExecutorJob: ["ready", "run", "wait"], GetAddrInfo: ["ready", "run", "wait"] };
const MOST_INDENT = 16; // levels

export class Rows {
  /** `choose(id)`, `fold(id)`, `jump(id)`: what a press on a line, its mark, its arrow does. */
  constructor({ choose, fold, jump }) {
    Object.assign(this, { choose, fold, jump });
    this.columns = h("div", { class: "blocks", role: "presentation" });
    this.lines = h("div", { class: "lines", role: "presentation" });
    this.space = h("div", { class: "space", role: "presentation" }, this.columns, this.lines);
    this.element = h("div", { class: "rows", role: "tree", tabindex: 0, "aria-label": "Spans", id: "spans" }, this.space);
    this.element.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.element.addEventListener("click", (event) => this.#press(event));
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.element);
    this.nodes = [];
  }

  /** `state`: {nodes, tree, from, to, selected, related, found, blocks, services, longest}. */
  set(state) {
    Object.assign(this, state);
    this.space.style.height = `${this.nodes.length * LINE}px`;
    this.#drawBlocks();
    this.#draw();
  }

  /** Bring a line into sight. */
  show(id) {
    const index = this.nodes.findIndex((node) => node.span.span_id === id);
    if (index < 0) return;
    const top = index * LINE;
    const height = this.element.clientHeight;
    if (top < this.element.scrollTop + LINE || top + 2 * LINE > this.element.scrollTop + height) {
      this.element.scrollTop = top - height / 3;
    }
  }

  close() {
    this.observer.disconnect();
  }

  #x(at) {
    return ((at - this.from) / (this.to - this.from)) * 100;
  }

  #drawBlocks() {
    const seen = this.blocks.filter((block) => block.at < this.to && block.at + block.time > this.from);
    this.columns.replaceChildren(...seen.slice(0, 200).map((block) => {
      const left = Math.max(0, this.#x(block.at));
      return h("i", { style: { left: `${left}%`, width: `${Math.max(0.1, Math.min(100, this.#x(block.at + block.time)) - left)}%` } });
    }));
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / LINE) - SPARE);
    const last = Math.min(this.nodes.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / LINE) + SPARE);
    this.lines.style.transform = `translateY(${first * LINE}px)`;
    this.lines.replaceChildren(...this.nodes.slice(first, last).map((node) => this.#line(node)));
    const there = this.nodes.slice(first, last).some((node) => node.span.span_id === this.selected);
    if (there) this.element.setAttribute("aria-activedescendant", `span-${this.selected}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #line(node) {
    const { span } = node;
    const id = span.span_id;
    const open = node.children.length > 0 ? !this.tree.collapsed.has(id) : null;
    const classes = ["line", id === this.selected && "selected", this.related.has(id) && "related", this.found && !this.found.has(id) && "faint"].filter(Boolean);
    return h(
      "div",
      {
        class: classes.join(" "), role: "treeitem", id: `span-${id}`, "data-id": id,
        "aria-level": node.depth + 1, "aria-expanded": open === null ? null : String(open), "aria-selected": String(id === this.selected),
      },
      h("div", { class: "what", style: { "padding-left": `calc(${Math.min(node.depth, MOST_INDENT)} * var(--indent))` } },
        h("span", { class: "fold", "aria-hidden": "true", "data-do": open === null ? null : "fold" }, open === null ? "" : open ? "▾" : "▸"),
        this.services.size > 1 && h("i", { class: "service", style: { background: `var(--series-${(this.services.get(span.process).index % 8) + 1})` } }),
        h("span", { class: "name", title: span.name }, span.name || "unnamed"),
        open === false && h("span", { class: "tag" }, `+${node.size - 1}`),
        node.stray && h("span", { class: "tag stray", title: "Its parent is not in this trace, or not yet" }, "parent missing"),
        span.links.length > 0 && h("span", { class: "tag", title: "It has links" }, "⤳")),
      h("div", { class: "when" }, this.#bar(span)),
    );
  }

  #bar(span) {
    const left = this.#x(span.start);
    const right = this.#x(span.start + span.duration);
    if (right < 0 || left > 100) return h("span", { class: "outside muted" }, left > 100 ? "→" : "←");
    const inner = { left: `${left}%`, width: `${Math.max(0.08, right - left)}%` };
    const known = span.run !== null && span.run !== undefined && span.run + span.ready + span.wait > 0;
    const bar = h("span", { class: `time ${span.status === "error" ? "failed" : ""} ${span.open ? "going" : ""}`, style: inner }, known ? parts(span, MOMENTS[span.type]) : h("i", { class: "unsplit", style: { width: "100%" } }));
    const marks = span.events.filter((event) => event.name === "whence.blocked").map((event) => {
      const time = Number(event.attributes["whence.blocked.time"] ?? 0);
      return h("i", { class: "held", style: { left: `${this.#x(event.time)}%`, width: `${Math.max(0.15, this.#x(event.time + time) - this.#x(event.time))}%` } });
    });
    return [bar, marks, this.#label(span, left, right)];
  }

  #label(span, left, right) {
    const words = [
      h("span", { class: "number" }, duration(span.duration)),
      span.status === "error" && h("span", { class: "failure" }, "failed"),
      span.blocked > 0 && h("span", { class: "blocker" }, `blocked ${duration(span.blocked)}`),
      span.delayed && h("span", { class: "blocker", "data-do": "jump", title: "Go to what delayed it" }, `delayed ${duration(span.delayed.time)}`, h("span", { class: "by" }, ` by ${span.delayed.blocker ?? "another"}`)),
    ];
    // It stands behind the bar where there is room, else before it, else on it.
    const style = right < 60 ? { left: `calc(${Math.max(0, right)}% + 6px)` } : left > 40 ? { right: `calc(${100 - Math.min(100, left)}% + 6px)` } : { right: "4px" };
    return h("span", { class: `label ${right < 60 || left > 40 ? "" : "inside"}`, style }, words);
  }

  #press(event) {
    const line = event.target.closest(".line");
    if (!line) return;
    const action = event.target.closest("[data-do]")?.dataset.do;
    if (action === "fold") this.fold(line.dataset.id);
    else if (action === "jump") this.jump(line.dataset.id);
    else this.choose(line.dataset.id);
  }
}
