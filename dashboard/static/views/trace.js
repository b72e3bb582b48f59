// One trace: the waterfall, and the span that is selected in it.

import { fill, h } from "../element.js";
import { clock, count, duration, plural } from "../format.js";
import { empty, legend } from "../parts.js";
import { change, current, go, href } from "../route.js";
import { blockerOf, blocksOf, related } from "../waterfall/blocks.js";
import { detail } from "../waterfall/detail.js";
import { Overview } from "../waterfall/overview.js";
import { Rows } from "../waterfall/rows.js";
import { Tree } from "../waterfall/tree.js";

const TICKS = 5;
const ZOOM = 2;
const NARROWEST = 1e-7; // part of the trace

export function open(page) {
  const { id } = page.route;
  const head = h("div", { class: "head" });
  const axis = h("div", { class: "axis number", "aria-hidden": "true" });
  const side = h("div", { class: "side" });
  const rows = new Rows({ choose: select, fold, jump });
  const overview = new Overview(zoomTo);
  const find = h("input", { type: "search", placeholder: "Find spans", "aria-label": "Find spans in this trace", "data-search": true, on: { input: () => change({ find: find.value.trim() }) } });
  const fall = h("div", { class: "waterfall" },
    h("div", { class: "card fall" }, h("div", { class: "tools" }, h("span", { class: "tool" }, find), overview.element), axis, rows.element), side);
  page.root.append(head, fall);
  let trace = null;
  let tree = null;
  let blocks = [];
  let shownFor = null;

  async function refresh() {
    try {
      const answer = await page.ask(`traces/${encodeURIComponent(id)}`);
      // A trace that has not grown is not drawn again: who reads it would lose their place.
      if (trace && answer.spans.length === trace.spans.length && answer.linked_from.length === trace.linked_from.length) return;
      const collapsed = tree?.collapsed;
      trace = answer;
      tree = new Tree(trace.spans);
      if (collapsed) tree.collapsed = collapsed;
      blocks = blocksOf(trace.spans);
      draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (trace) page.fail(error);
      else fill(head, h("div", { class: "gone" }, empty("This trace is not here", error.message), h("a", { href: href("traces") }, "All traces")));
      fall.hidden = !trace;
    }
  }

  function draw() {
    if (!trace) return;
    fall.hidden = false;
    const { parameters } = current();
    const whole = Math.max(trace.duration, 1e-9);
    const from = Math.max(0, Number(parameters.from ?? 0));
    const to = Math.min(whole, Number(parameters.to ?? whole)) > from ? Math.min(whole, Number(parameters.to ?? whole)) : whole;
    const selected = tree.nodes.get(parameters.span)?.span ?? null;
    if (selected && shownFor !== selected.span_id) tree.reveal(selected.span_id);
    const found = parameters.find ? matches(parameters.find) : null;
    if (document.activeElement !== find) find.value = parameters.find ?? "";
    drawHead(found);
    drawAxis(from, to);
    overview.set({ nodes: tree.order, blocks, duration: whole, from, to });
    rows.set({
      nodes: tree.visible(), tree, from, to, blocks, found, services: servicesOf(),
      selected: selected?.span_id ?? null, related: selected ? related(selected, trace.spans) : new Set(),
    });
    fill(side, selected && detail(selected, trace, { close: () => select(null), service: page.service() }));
    fall.classList.toggle("split-view", Boolean(selected));
    if (selected && shownFor !== selected.span_id) rows.show(selected.span_id);
    shownFor = selected?.span_id ?? null;
  }

  function drawHead(found) {
    const failed = trace.spans.filter((span) => span.status === "error").length;
    document.title = `${trace.name || "trace"} · whence`;
    fill(
      head,
      h("a", { class: "back", href: href("traces", { service: page.service() }), "aria-label": "All traces" }, "←"),
      h("h1", {}, trace.name || "unnamed"),
      h("b", { class: "number" }, duration(trace.duration)),
      failed > 0 && h("button", { class: "tag error", title: "Next failure (e)", "data-key": "failed", on: { click: () => next((span) => span.status === "error") } }, `${count(failed)} failed`),
      blocks.length > 0 && h("button", { class: "tag block", title: "Next block (b)", "data-key": "blocks", on: { click: () => next((span) => span.blocked > 0 || span.delayed) } }, plural(blocks.length, "block")),
      h("div", { class: "end" }, legend(...(blocks.length ? [["block", "loop held"]] : []))),
      h("p", {}, [
        trace.services.join(", "), clock(trace.start, true), plural(trace.number, "span"),
        trace.missing && `the first ${count(trace.spans.length)} shown`, found && `${count(found.size)} found`,
      ].filter(Boolean).join(" · ")),
    );
  }

  function drawAxis(from, to) {
    axis.replaceChildren(...Array.from({ length: TICKS }, (_, index) => h("span", {}, duration(from + ((to - from) * index) / TICKS))));
  }

  function servicesOf() {
    const names = [...new Set(Object.values(trace.processes).map((process) => process.service))];
    return new Map(Object.entries(trace.processes).map(([key, process]) => [Number(key), { name: process.service, index: names.indexOf(process.service) }]));
  }

  function matches(text) {
    const wanted = text.toLowerCase();
    return new Set(trace.spans.filter((span) => span.name.toLowerCase().includes(wanted) || span.site?.file.toLowerCase().includes(wanted)).map((span) => span.span_id));
  }

  function select(spanId) {
    shownFor = spanId;
    change({ span: spanId ?? "" });
    if (spanId) rows.show(spanId);
  }

  function fold(spanId) {
    if (!tree.collapsed.delete(spanId)) tree.collapsed.add(spanId);
    draw();
  }

  function jump(spanId) {
    const span = tree.nodes.get(spanId).span;
    const place = blockerOf(span, trace.spans, id);
    if (!place) go("traces", { name: span.delayed.blocker ?? "", blocked: true });
    else if (place.trace_id === id) change({ span: place.span_id }, { step: true });
    else go("trace", { id: place.trace_id, span: place.span_id, service: page.service() });
  }

  function move(by) {
    if (!trace) return;
    const lines = tree.visible();
    const at = lines.findIndex((node) => node.span.span_id === current().parameters.span);
    const node = lines[at < 0 ? 0 : Math.min(lines.length - 1, Math.max(0, at + by))];
    if (node) select(node.span.span_id);
  }

  /** The next line, from the selected one on and round, that is of interest. */
  function next(interesting) {
    const at = tree.order.findIndex((node) => node.span.span_id === current().parameters.span);
    const after = [...tree.order.slice(at + 1), ...tree.order.slice(0, at + 1)];
    const node = after.find((one) => interesting(one.span));
    if (node) change({ span: node.span.span_id });
  }

  function turn(inward) {
    const node = tree?.nodes.get(current().parameters.span);
    if (!node) return;
    const folded = tree.collapsed.has(node.span.span_id);
    if (inward && folded) fold(node.span.span_id);
    else if (inward && node.children.length > 0) select(node.children[0].span.span_id);
    else if (!inward && node.children.length > 0 && !folded) fold(node.span.span_id);
    else if (!inward && node.parent) select(node.parent.span.span_id);
  }

  function zoomTo(from, to) {
    const whole = trace.duration;
    change(from <= 0 && to >= whole ? { from: "", to: "" } : { from: Math.max(0, from), to: Math.min(whole, to) });
  }

  function zoom(factor) {
    if (!trace) return;
    const { parameters } = current();
    const [from, to] = [Number(parameters.from ?? 0), Number(parameters.to ?? trace.duration)];
    const span = tree.nodes.get(parameters.span)?.span;
    const middle = span ? Math.min(to, Math.max(from, span.start + span.duration / 2)) : (from + to) / 2;
    const half = Math.max(trace.duration * NARROWEST, ((to - from) / 2) * factor);
    zoomTo(middle - half, middle + half);
  }

  refresh();
  return {
    refresh,
    routed: draw,
    close() {
      rows.close();
      overview.close();
    },
    keys: {
      ArrowDown: ["next span", () => move(1)],
      j: ["next span", () => move(1)],
      ArrowUp: ["span before", () => move(-1)],
      k: ["span before", () => move(-1)],
      ArrowRight: ["unfold, or into it", () => turn(true)],
      ArrowLeft: ["fold, or out of it", () => turn(false)],
      b: ["next that blocked or was delayed", () => trace && next((span) => span.blocked > 0 || span.delayed)],
      e: ["next failure", () => trace && next((span) => span.status === "error")],
      Enter: ["go to what delayed it", () => tree?.nodes.get(current().parameters.span)?.span.delayed && jump(current().parameters.span)],
      "+": ["zoom in", () => zoom(1 / ZOOM)],
      "-": ["zoom out", () => zoom(ZOOM)],
      0: ["all of it", () => trace && zoomTo(0, trace.duration)],
      Escape: ["close the span", () => select(null)],
    },
  };
}
