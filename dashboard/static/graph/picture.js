// The graph of the view Flow, in SVG. Every box is a button; a table beside it says the same.

import { h, svg } from "../element.js";
import { count, duration, place } from "../format.js";
import { arrange } from "./layers.js";

const BOX = { width: 196, height: 60, between: 120, gap: 18 };
const EDGE = 24; // px round the picture
const SMALLEST = 0.7; // of its size, before it is scrolled
const INSIDE = 12; // px between a box and its text
const NAME_FONT = "600 13px system-ui, sans-serif";
const SITE_FONT = "11px ui-monospace, 'DejaVu Sans Mono', monospace";
const ruler = document.createElement("canvas").getContext("2d");

/** The picture of `nodes` and `edges`; `choose(id)` is called for a box that is pressed. */
export function picture({ nodes, edges, chosen, choose }) {
  const plan = arrange(nodes, edges, BOX);
  const longest = Math.max(...edges.map((edge) => edge.between.mean ?? 0), 1e-6);
  const near = chosen === null ? null : new Set([chosen, ...edges.filter((edge) => edge.from === chosen).map((edge) => edge.to), ...edges.filter((edge) => edge.to === chosen).map((edge) => edge.from)]);
  const lit = (edge) => chosen === null || edge.from === chosen || edge.to === chosen;
  const size = { width: plan.width + 2 * EDGE, height: plan.height + 2 * EDGE };
  const drawing = svg(
    "svg",
    { class: "graph", style: { width: "100%", "max-width": `${size.width}px`, "min-width": `${size.width * SMALLEST}px` }, viewBox: `${-EDGE} ${-EDGE} ${size.width} ${size.height}`, role: "group", "aria-label": "What triggers what" },
    svg("defs", {}, marker("arrow")),
    edges.filter((edge) => plan.routes.has(edge)).map((edge) => line(edge, plan, longest, lit(edge))),
    nodes.map((node) => box(node, plan.places.get(node.id), edges, { chosen: node.id === chosen, faint: near !== null && !near.has(node.id), choose })),
  );
  return drawing;
}

function marker(id) {
  return svg("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, svg("path", { d: "M0 0 8 4 0 8z", class: "head-of-arrow" }));
}

/** The time between cause and effect is the thickness: over powers of ten, for both 1 ms and 10 s
 *  occur in one program. */
function line(edge, plan, longest, lit) {
  const points = plan.routes.get(edge);
  const time = edge.between.mean ?? 0;
  const width = 1 + 5 * Math.max(0, 1 + Math.log10(Math.max(time, 1e-6) / longest) / 4);
  const middle = halfway(points);
  const classes = ["edge", edge.link && "link", plan.back.has(edge) && "back", !lit && "faint"].filter(Boolean).join(" ");
  return svg(
    "g",
    { class: classes },
    svg("title", {}, `${count(edge.number)} times, ${duration(edge.between.mean)} between on average, ${duration(edge.between.max)} at most`),
    svg("path", { d: curve(points), "stroke-width": width.toFixed(1), "marker-end": "url(#arrow)" }),
    svg("text", { x: middle.x, y: middle.y + (plan.back.has(edge) ? 13 : -5), "text-anchor": "middle" }, duration(edge.between.mean)),
  );
}

function curve(points) {
  return points.map((point, index) => {
    if (index === 0) return `M${point.x} ${point.y}`;
    const before = points[index - 1];
    const bend = (point.x - before.x) / 2;
    return `C${before.x + bend} ${before.y} ${point.x - bend} ${point.y} ${point.x} ${point.y}`;
  }).join(" ");
}

function halfway(points) {
  const at = points.length > 2 ? 1 : 0;
  return { x: (points[at - (at > 0 ? 1 : 0)].x + points[at + (at > 0 ? 0 : 1)].x) / 2, y: (points[at - (at > 0 ? 1 : 0)].y + points[at + (at > 0 ? 0 : 1)].y) / 2 };
}

function box(node, at, edges, { chosen, faint, choose }) {
  const again = edges.find((edge) => edge.from === node.id && edge.to === node.id);
  const known = node.run !== null && node.run + node.ready + node.wait > 0;
  const press = () => choose(chosen ? null : node.id);
  return svg(
    "g",
    {
      class: ["box", chosen && "chosen", faint && "faint", node.errors > 0 && "failed"].filter(Boolean).join(" "),
      transform: `translate(${at.x} ${at.y})`, tabindex: 0, role: "button", "aria-pressed": String(chosen), "data-key": `node ${node.id}`,
      on: { click: press, keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); press(); } } },
    },
    svg("title", {}, [node.name, node.file && `${node.file}:${node.line}`, node.service].filter(Boolean).join("\n")),
    svg("rect", { class: "face", width: BOX.width, height: BOX.height, rx: 7 }),
    svg("text", { class: "name", x: 12, y: 21 }, cut(node.name, NAME_FONT)),
    svg("text", { class: "site", x: 12, y: 37 }, cut(place(node.file ? node : null) || node.service, SITE_FONT)),
    svg("text", { class: "times", x: BOX.width - 10, y: 52, "text-anchor": "end" }, `${again ? "↻ " : ""}× ${count(node.number)}`),
    svg("text", { class: "times", x: 12, y: 52 }, duration(node.duration)),
    known && shares(node),
  );
}

function shares(node) {
  const total = node.run + node.ready + node.wait;
  let x = 1;
  return svg("g", {}, ["run", "ready", "wait"].map((part) => {
    const width = (node[part] / total) * (BOX.width - 2);
    const piece = svg("rect", { class: `share-${part}`, x, y: BOX.height - 4, width: Math.max(0, width), height: 3 });
    x += width;
    return piece;
  }));
}

/** As much of a text as there is room for. */
function cut(text, font) {
  ruler.font = font;
  const fits = (part) => ruler.measureText(part).width <= BOX.width - 2 * INSIDE;
  if (fits(text)) return text;
  let letters = text.length - 1;
  while (letters > 1 && !fits(`${text.slice(0, letters)}…`)) letters -= 1;
  return `${text.slice(0, letters)}…`;
}

/** Boxes that nothing triggers, and that trigger nothing. */
export function alone(nodes) {
  return h("ul", { class: "alone" }, nodes.map((node) => h("li", { class: "tag", title: node.file ? `${node.file}:${node.line}` : "" }, `${node.name} × ${count(node.number)}`)));
}
