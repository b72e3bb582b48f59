// Leaks: what became garbage before it was settled or closed, by the line that made it.

import { fill, h } from "../element.js";
import { ago, count } from "../format.js";
import { code, empty } from "../parts.js";
import { href } from "../route.js";
import { Table } from "../table.js";

export function open(page) {
  const counters = h("div", { class: "tiles" });
  const content = h("div");
  const table = new Table({
    label: "Leaks by creation site",
    order: 3,
    key: (row) => `${row.service} ${row.type} ${row.name} ${row.file}:${row.line}`,
    columns: [
      { title: "Made at", sort: (row) => row.file, cell: (row) => code(row) },
      { title: "What", sort: (row) => row.name, cell: (row) => row.name },
      { title: "Type", wide: true, sort: (row) => row.type, cell: (row) => row.type },
      { title: "Number", number: true, sort: (row) => row.number, cell: (row) => count(row.number) },
      { title: "First", number: true, wide: true, sort: (row) => row.first, cell: (row) => ago(row.first) },
      { title: "Last", number: true, sort: (row) => row.last, cell: (row) => ago(row.last) },
      { title: "Trace", cell: (row) => row.example && h("a", { href: href("trace", { id: row.example.trace_id, span: row.example.span_id }) }, "trace") },
    ],
  });
  page.root.append(
    h("div", { class: "head" },
      h("h1", {}, "Leaks"),
      h("p", {}, "What Python collected as garbage before anybody settled or closed it: tasks that nobody kept, futures that nobody settled, connections that nobody closed.")),
    counters,
    content,
  );

  async function refresh() {
    try {
      const { sites, types } = await page.ask("leaks", { service: page.service() });
      const leaked = types.filter((one) => one.leaked > 0);
      fill(counters, leaked.map((one) =>
        h("div", { class: "card tile" }, h("span", { class: "muted" }, `${one.type} · ${one.service}`), h("b", { class: "number" }, count(one.leaked)), h("span", { class: "muted" }, `leaked; ${count(one.active)} alive now`))));
      table.set(sites);
      if (sites.length > 0) {
        if (!table.element.isConnected) fill(content, table.element);
      } else if (leaked.length > 0) {
        fill(content, empty("Only counted", "These types become no spans unless they are asked for, so there is no line to show:", "whence run --dashboard --types all app.py"));
      } else {
        fill(content, empty("No leaks", "Everything that was made has been settled, closed, or is still in use. What is open now is in the view Now."));
      }
    } catch (error) {
      page.fail(error);
    }
  }

  refresh();
  return { refresh, routed: refresh, close() {}, keys: {} };
}
