// What is open in a process at this moment, as its own socket tells it.

import { fill, h } from "../element.js";
import { count, duration, plural } from "../format.js";
import { code, split } from "../parts.js";
import { Table } from "../table.js";

const STATES = ["running", "ready", "waiting", "pending", "open"];
const AT_MOST = 300;

export class LiveTable {
  constructor(page) {
    this.page = page;
    this.resources = [];
    this.filter = h("input", {
      type: "search", placeholder: "Filter by name, type, line", "aria-label": "Filter what is open", "data-search": true,
      on: { input: () => this.#draw() },
    });
    this.said = h("span", { class: "muted", role: "status" });
    this.table = new Table({
      label: "Open resources",
      order: 3,
      key: (row) => String(row.async_id),
      more: (row) => this.#more(row),
      columns: [
        { title: "What", sort: (row) => row.name, cell: (row) => row.task_name ? [row.name, h("span", { class: "muted" }, ` ${row.task_name}`)] : row.name },
        { title: "State", sort: (row) => STATES.indexOf(row.state), cell: (row) => h("span", { class: "state", "data-state": row.state }, row.state) },
        { title: "Waits for", cell: (row) => row.waits_for ?? (row.due !== null && row.due !== undefined ? `due in ${duration(row.due)}` : "") },
        { title: "Age", number: true, sort: (row) => row.age, cell: (row) => duration(row.age) },
        { title: "Now at", wide: true, sort: (row) => row.at?.file, cell: (row) => code(row.at, "") },
        { title: "Made at", wide: true, sort: (row) => row.site?.file, cell: (row) => code(row.site) },
        { title: "Steps", number: true, wide: true, sort: (row) => row.steps, cell: (row) => count(row.steps) },
      ],
    });
    this.absent = h("p", { class: "card absent muted" });
    this.reasons = h("div");
    this.asking = h("button", { "aria-expanded": "false", on: { click: () => this.#askWhy() } }, "What keeps it alive?");
    // Until it is known which process is meant.
    this.asking.hidden = true;
    this.element = h("section", { class: "live" }, h("div", { class: "head" }, h("h2", {}, "Open now"), this.said, h("div", { class: "end" }, this.filter, this.asking)), this.reasons, this.absent, this.table.element);
    this.keys = { w: ["what keeps the process alive", () => this.#askWhy()] };
  }

  async refresh(process) {
    if (process.id !== this.process?.id) this.#forgetWhy();
    this.process = process;
    try {
      const answer = await this.page.ask("live", { process: process.id });
      this.absent.hidden = answer.available;
      this.absent.textContent = answer.available ? "" : `Nobody to ask: ${answer.reason}`;
      this.table.element.hidden = !answer.available;
      this.filter.hidden = !answer.available;
      this.asking.hidden = !answer.available;
      this.resources = answer.available ? answer.resources : [];
      this.left = answer.left_out ?? 0;
      this.#draw();
    } catch (error) {
      this.page.fail(error);
    }
  }

  async #askWhy() {
    if (this.asking.getAttribute("aria-expanded") === "true" || !this.process) {
      this.#forgetWhy();
      return;
    }
    try {
      const answer = await this.page.ask("why", { process: this.process.id });
      this.asking.setAttribute("aria-expanded", "true");
      fill(this.reasons, h("pre", { class: "card why", tabindex: 0, "aria-label": "What keeps it alive" }, answer.available ? answer.text.trimEnd() : answer.reason));
    } catch (error) {
      this.page.fail(error);
    }
  }

  #forgetWhy() {
    this.asking.setAttribute("aria-expanded", "false");
    this.reasons.replaceChildren();
  }

  #draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const fits = (row) => [row.name, row.task_name, row.type, row.state, row.waits_for, row.site?.file, row.at?.file].some((text) => text?.toLowerCase().includes(wanted));
    const found = wanted ? this.resources.filter(fits) : this.resources;
    this.said.textContent = this.table.element.hidden ? "" : `${plural(found.length + (wanted ? 0 : this.left), "resource")}${found.length > AT_MOST ? `, the first ${AT_MOST} shown: filter for others` : ""}`;
    this.table.set(found.slice(0, AT_MOST));
  }

  #more(row) {
    const awaited = (ids) => ids.map((id) => this.resources.find((one) => one.async_id === id)?.name ?? `#${id}`).join(", ");
    return h(
      "div",
      { class: "two" },
      h("div", { class: "stackable" },
        h("h3", {}, row.stack.length ? "Where it is" : "It has no stack"),
        row.stack.length > 0 && h("pre", { class: "stack", tabindex: 0, "aria-label": "Stack" }, row.stack.map((frame) => `${frame.file}:${frame.line}\n    ${frame.function}`).join("\n")),
        row.age !== null && split(row)),
      h("div", { class: "stackable" },
        h("h3", {}, "What made it"),
        h("ol", { class: "chain" }, [{ name: row.name, site: row.site, repeats: 1 }, ...row.trigger_chain].map((hop) =>
          h("li", {}, h("b", {}, hop.name), hop.repeats > 1 && ` × ${count(hop.repeats)}`, " ", code(hop.site, "")))),
        h("dl", { class: "facts" },
          fact("async id", row.async_id),
          fact("type", row.type),
          row.awaits.length > 0 && fact("awaits", awaited(row.awaits)),
          row.awaited_by.length > 0 && fact("awaited by", awaited(row.awaited_by)),
          Object.entries(row.details ?? {}).map(([name, value]) => fact(name, value)))),
    );
  }
}

function fact(name, value) {
  return [h("dt", {}, name), h("dd", { class: "number" }, String(value))];
}
