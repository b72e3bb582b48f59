// Flow: what triggers what, over all that has been received: by type, name and creation site.

import { fill, h } from "../element.js";
import { count, duration } from "../format.js";
import { alone, picture } from "../graph/picture.js";
import { choice, code, empty, legend, SINCE, from, split } from "../parts.js";
import { change, current, href } from "../route.js";
import { Table } from "../table.js";

const SIZES = [["20", "20"], ["", "40"], ["100", "100"], ["200", "200"]];
const USUAL = 40;

export function open(page) {
  const head = h("div", { class: "head" });
  const drawing = h("div", { class: "card scroll ground", tabindex: 0, role: "region", "aria-label": "Graph" });
  const panel = h("div");
  const single = h("div");
  const table = new Table({
    label: "What triggers what",
    order: 2,
    key: (edge) => `${edge.from} ${edge.to} ${edge.link}`,
    columns: [
      { title: "Cause", sort: (edge) => edge.cause.name, cell: (edge) => named(edge.cause) },
      { title: "Triggers", sort: (edge) => edge.effect.name, cell: (edge) => named(edge.effect) },
      { title: "Times", number: true, sort: (edge) => edge.number, cell: (edge) => count(edge.number) },
      { title: "Between", number: true, sort: (edge) => edge.between.mean, cell: (edge) => duration(edge.between.mean) },
      { title: "At most", number: true, sort: (edge) => edge.between.max, cell: (edge) => duration(edge.between.max) },
    ],
  });
  page.root.append(head, drawing, panel, single, table.element);
  let answer = null;

  function draw() {
    const { parameters } = current();
    fill(
      head,
      h("h1", {}, "Flow"),
      h("div", { class: "end" },
        choice("Show as", [["", "graph"], ["table", "table"]], parameters.as ?? "", (value) => change({ as: value }, { step: true })),
        choice("Boxes", SIZES, parameters.boxes ?? "", (value) => change({ boxes: value }, { step: true })),
        choice("Since", SINCE, parameters.since ?? "", (value) => change({ since: value }, { step: true }))),
      h("p", {}, "What triggers what. A line is as thick as the time between cause and effect; dashed, it is a link to a trace of its own."),
      legend(),
    );
    if (!answer) return;
    const nodes = new Map(answer.nodes.map((node) => [node.id, node]));
    const edges = answer.edges.filter((edge) => nodes.has(edge.from) && nodes.has(edge.to));
    const joined = new Set(edges.flatMap((edge) => (edge.from === edge.to ? [] : [edge.from, edge.to])));
    const chosen = [...nodes.keys()].find((id) => String(id) === parameters.node) ?? null;
    const asTable = parameters.as === "table";
    drawing.hidden = asTable || joined.size === 0;
    table.element.hidden = !asTable || edges.length === 0;
    table.set(edges.map((edge) => ({ ...edge, cause: nodes.get(edge.from), effect: nodes.get(edge.to) })));
    if (!drawing.hidden) {
      const at = [drawing.scrollLeft, drawing.scrollTop];
      fill(drawing, picture({
        nodes: answer.nodes.filter((node) => joined.has(node.id)), edges, chosen,
        choose: (id) => change({ node: id ?? "" }),
      }));
      [drawing.scrollLeft, drawing.scrollTop] = at;
    }
    fill(panel, chosen !== null && about(nodes.get(chosen), edges, nodes));
    const others = answer.nodes.filter((node) => !joined.has(node.id));
    fill(
      single,
      answer.nodes.length === 0 && empty("Nothing flows yet", "As soon as spans come, this is a graph of what triggers what.", "whence run --dashboard app.py"),
      others.length > 0 && !asTable && [h("h2", { class: "between" }, "On their own"), alone(others)],
      answer.left_out.nodes > 0 && h("p", { class: "muted between" }, `${count(answer.left_out.nodes)} less frequent left out`),
    );
  }

  async function refresh() {
    try {
      const { parameters } = current();
      answer = await page.ask("flow", { service: page.service(), from: from(parameters.since), limit: parameters.boxes || USUAL });
      draw();
    } catch (error) {
      page.fail(error);
    }
  }

  let asked = "";
  function routed() {
    const { parameters } = current();
    const now = [parameters.service, parameters.since, parameters.boxes].join();
    draw();
    if (now === asked) return undefined;
    asked = now;
    return refresh();
  }

  function about(node, edges, nodes) {
    const list = (title, found, other) => found.length > 0 && h("div", { class: "stackable" }, h("h3", {}, title), h("ul", {}, found.map((edge) =>
      h("li", {}, h("a", { href: href("flow", { ...current().parameters, node: edge[other] }) }, nodes.get(edge[other]).name), h("span", { class: "muted number" }, ` × ${count(edge.number)}, ${duration(edge.between.mean)} between, ${duration(edge.between.max)} at most`)))));
    return h(
      "section",
      { class: "card chosen-box", "aria-label": "The chosen box" },
      h("div", { class: "stackable" },
        h("h2", {}, node.name),
        h("p", {}, code(node), " ", h("span", { class: "muted" }, `${node.service} · ${node.type ?? "span"}`)),
        h("p", { class: "number" }, `${count(node.number)} times, ${duration(node.duration)} on average`, node.errors > 0 && h("span", { class: "failure" }, `, ${count(node.errors)} failed`)),
        split(node),
        h("p", {}, h("a", { href: href("traces", { service: current().parameters.service, name: node.name }) }, "Its traces"))),
      list("Triggered by", edges.filter((edge) => edge.to === node.id), "from"),
      list("Triggers", edges.filter((edge) => edge.from === node.id), "to"),
    );
  }

  routed();
  return { refresh, routed, close() {}, keys: { g: ["graph or table", () => change({ as: current().parameters.as ? "" : "table" })], Escape: ["choose no box", () => change({ node: "" })] } };
}

function named(node) {
  return [node.name, " ", node.file && h("span", { class: "muted" }, code(node))];
}
