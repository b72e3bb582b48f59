// Blockers: the lines of code that kept loops from running, the most expensive first.

import { fill, h } from "../element.js";
import { ago, count, duration, plural } from "../format.js";
import { choice, code, empty, from, SINCE } from "../parts.js";
import { change, current, href } from "../route.js";
import { Table } from "../table.js";

const NOTHING = "Nothing has held an event loop for longer than the limit. It is 100 ms, unless the program was told another:";

export function open(page) {
  let longest = 0;
  const head = h("div", { class: "head" });
  const content = h("div");
  const table = new Table({
    label: "Blockers",
    order: 2,
    key: (row) => `${row.service} ${row.file}:${row.line}`,
    more,
    columns: [
      { title: "Line", sort: (row) => row.file, cell: (row) => code(row, "not seen: held Python's lock, or ended too soon") },
      { title: "What ran there", wide: true, cell: (row) => row.names.slice(0, 3).join(", ") },
      { title: "Held the loop", number: true, sort: (row) => row.total, cell: total },
      { title: "Times", number: true, sort: (row) => row.number, cell: (row) => count(row.number) },
      { title: "Longest", number: true, wide: true, sort: (row) => row.max, cell: (row) => duration(row.max) },
      { title: "Delayed", number: true, sort: (row) => row.delayed, cell: (row) => count(row.delayed) },
      { title: "Last", number: true, wide: true, sort: (row) => row.last, cell: (row) => ago(row.last) },
    ],
  });
  page.root.append(head, content);

  function total(row) {
    return [duration(row.total), h("div", { class: "share", "aria-hidden": "true" }, h("i", { style: { width: `${(row.total / longest) * 100}%` } }))];
  }

  function draw() {
    const since = current().parameters.since ?? "";
    fill(
      head,
      h("h1", {}, "Blockers"),
      h("div", { class: "end" }, choice("Since", SINCE, since, (value) => change({ since: value }, { step: true }))),
      h("p", {}, "Lines that held an event loop: while one ran, nothing else on its loop did. The stack was taken while it blocked."),
    );
  }

  async function refresh() {
    try {
      const { blockers } = await page.ask("blockers", { service: page.service(), from: from(current().parameters.since) });
      longest = Math.max(0, ...blockers.map((row) => row.total));
      table.set(blockers);
      if (blockers.length === 0) fill(content, empty("No blockers", NOTHING, "whence run --dashboard --slow 20 app.py"));
      else if (!table.element.isConnected) fill(content, table.element);
    } catch (error) {
      page.fail(error);
    }
  }

  function routed() {
    draw();
    return refresh();
  }

  routed();
  return { refresh, routed, close() {}, keys: {} };
}

function more(row) {
  return h(
    "div",
    { class: "two" },
    h("div", { class: "stackable" },
      h("h3", {}, "Where it stood, in the longest one"),
      row.stack ? h("pre", { class: "stack", tabindex: 0, "aria-label": "Stack" }, row.stack.trimEnd()) : h("p", { class: "muted" }, "No stack: it ended before the watchdog looked, or code in C kept Python's lock.")),
    h("div", { class: "stackable" },
      h("h3", {}, "What ran there"),
      h("ul", {}, row.names.map((name) => h("li", {}, name))),
      h("h3", {}, `Delayed ${plural(row.delayed, "callback")}`),
      row.delayed_names.length > 0 && h("ul", {}, row.delayed_names.slice(0, 12).map((name) => h("li", {}, name))),
      row.example && h("p", {}, h("a", { href: href("trace", { id: row.example.trace_id, span: row.example.span_id }) }, "Show the longest one in its trace"))),
  );
}
