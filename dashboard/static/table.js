// A table that can be sorted, and whose rows open.

import { fill, h } from "./element.js";

/** `columns`: {title, sort(row), cell(row), number, wide}; the first cell of a row opens it where
 *  `more(row)` is given. `key(row)` tells rows apart when they are shown anew. */
export class Table {
  constructor({ label, columns, key, more = null, order = null, descending = true }) {
    Object.assign(this, { label, columns, key, more, order, descending });
    this.rows = [];
    this.opened = new Set();
    this.body = h("tbody");
    this.heads = columns.map((column, index) => this.#head(column, index));
    this.element = h(
      "div",
      { class: "card scroll", tabindex: 0, role: "region", "aria-label": label },
      h("table", {}, h("thead", {}, h("tr", {}, this.heads)), this.body),
    );
  }

  /** Show these rows. */
  set(rows) {
    this.rows = rows;
    this.#draw();
  }

  #head(column, index) {
    const classes = [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null;
    if (!column.sort) return h("th", { class: classes, scope: "col" }, column.title);
    const button = h("button", { "data-key": `head ${index}`, on: { click: () => this.#sort(index) } }, column.title);
    return h("th", { class: classes, scope: "col" }, button);
  }

  #sort(index) {
    this.descending = this.order === index ? !this.descending : true;
    this.order = index;
    this.#draw();
  }

  #draw() {
    for (const [index, head] of this.heads.entries()) {
      if (index === this.order) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const rows = [...this.rows];
    const sort = this.columns[this.order]?.sort;
    if (sort) rows.sort((a, b) => compare(sort(a), sort(b)) * (this.descending ? -1 : 1));
    fill(this.body, rows.map((row) => this.#row(row)));
  }

  #row(row) {
    const key = this.key(row);
    const opened = this.opened.has(key);
    const cells = this.columns.map((column, index) => {
      const classes = [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null;
      const content = column.cell(row);
      if (index > 0 || !this.more) return h("td", { class: classes }, content);
      const open = () => {
        if (!this.opened.delete(key)) this.opened.add(key);
        this.#draw();
      };
      return h("td", { class: classes }, h("button", { class: "expand", "aria-expanded": String(opened), "data-key": key, on: { click: open } }, content));
    });
    const line = h("tr", { class: opened ? "open" : null }, cells);
    return opened ? [line, h("tr", { class: "more" }, h("td", { colspan: cells.length }, this.more(row)))] : line;
  }
}

function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return String(a ?? "").localeCompare(String(b ?? ""));
  return (a ?? -1) - (b ?? -1);
}
