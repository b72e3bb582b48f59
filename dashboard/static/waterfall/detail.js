// Everything about one span.

import { h } from "../element.js";
import { count, duration } from "../format.js";
import { code, split, SPLIT } from "../parts.js";
import { href } from "../route.js";
import { blockerOf } from "./blocks.js";

// Shown in words of their own, so not once more in the list of attributes.
const SAID = /^(whence\.(run_time|ready_time|wait_time|type|outcome|steps|blocked\.total_time|delayed\.(by|blocker|time))|code\.(file\.path|line\.number|function\.name))$/;
const REASONS = { trigger: "triggered by", segment: "goes on from" };

/** The panel of `span`. */
export function detail(span, trace, { close, service }) {
  const process = trace.processes[span.process];
  return h(
    "aside",
    { class: "card detail", "aria-label": "Span" },
    h("div", { class: "head" },
      h("h2", {}, span.name || "unnamed"),
      h("div", { class: "end" }, h("button", { class: "plain", "aria-label": "Close", title: "Close (Esc)", on: { click: close } }, "✕"))),
    span.status === "error" && h("p", { class: "failure" }, span.message || "failed"),
    times(span),
    delayed(span, trace, service),
    blocks(span),
    h("dl", { class: "facts" },
      fact("made at", span.site && code(span.site)),
      fact("type", span.type),
      fact("outcome", span.outcome),
      fact("kind", span.kind === "internal" ? null : span.kind),
      fact("service", process && `${process.service}${process.pid ? `, pid ${process.pid}` : ""}`),
      fact("scope", span.scope?.name),
      fact("starts at", duration(span.start)),
      fact("steps", span.steps === null ? null : count(span.steps)),
      fact("still open", span.open ? "this is a segment of it" : null)),
    links(span, trace, service),
    events(span),
    attributes("Attributes", Object.fromEntries(Object.entries(span.attributes).filter(([name]) => !SAID.test(name)))),
  );
}

function fact(name, value) {
  return value === null || value === undefined || value === "" ? null : [h("dt", {}, name), h("dd", {}, value)];
}

function times(span) {
  const divided = split(span);
  return h(
    "section",
    { class: "stackable" },
    h("p", {}, h("b", { class: "number" }, duration(span.duration))),
    divided,
    divided && h("ul", { class: "legend" }, SPLIT.map((part) => h("li", {}, h("i", { class: part }), `${part} `, h("b", {}, duration(span[part]))))),
  );
}

function delayed(span, trace, service) {
  if (!span.delayed) return null;
  const place = blockerOf(span, trace.spans, trace.trace_id);
  const name = span.delayed.blocker ?? "what has no span";
  return h("p", { class: "verdict" },
    `Ready, but delayed for ${duration(span.delayed.time)} by `,
    place ? h("a", { href: href("trace", { id: place.trace_id, span: place.span_id, service }) }, name) : h("a", { href: href("traces", { name: span.delayed.blocker ?? "", blocked: true }) }, name),
    place && place.trace_id !== trace.trace_id ? " (in another trace)." : ".");
}

function blocks(span) {
  return span.events.filter((event) => event.name === "whence.blocked").map(({ attributes: of }) => {
    const names = of["whence.delayed.names"] ?? [];
    const waited = of["whence.delayed.times"] ?? [];
    const site = of["code.file.path"] && { file: of["code.file.path"], line: of["code.line.number"], function: of["code.function.name"] };
    return h(
      "section",
      { class: "stackable" },
      h("p", { class: "verdict" }, `Held the loop for ${duration(Number(of["whence.blocked.time"]))}`, site && [" at ", code(site)], of["whence.delayed.number"] > 0 && `; ${count(of["whence.delayed.number"])} had to wait`),
      of["code.stacktrace"] && h("pre", { class: "stack", tabindex: 0, "aria-label": "Stack while it blocked" }, String(of["code.stacktrace"]).trimEnd()),
      names.length > 0 && h("ul", { class: "victims" }, names.map((name, index) => h("li", {}, h("span", {}, name), h("span", { class: "number muted" }, duration(waited[index]))))),
    );
  });
}

function links(span, trace, service) {
  const out = span.links.map((link) => [REASONS[link.attributes["whence.link"]] ?? "links to", link.trace_id, link.span_id, null, link.known]);
  const into = (trace.linked_from ?? []).filter((link) => link.target === span.span_id).map((link) => [link.link === "segment" ? "goes on in" : "triggers", link.trace_id, link.span_id, link.name, true]);
  if (out.length + into.length === 0) return null;
  return h(
    "section",
    { class: "stackable" },
    h("h3", {}, "Links"),
    h("ul", { class: "links" }, [...out, ...into].map(([reason, traceId, spanId, name, known]) => {
      const local = traceId === trace.trace_id ? trace.spans.find((other) => other.span_id === spanId) : null;
      const words = name ?? local?.name ?? (traceId === trace.trace_id ? `span ${spanId.slice(0, 8)}` : `trace ${traceId.slice(0, 8)}`);
      return h("li", {}, h("span", { class: "muted" }, `${reason} `), known || local ? h("a", { href: href("trace", { id: traceId, span: spanId, service }) }, words) : h("span", { title: "Not received, or no longer kept" }, `${words} (not here)`));
    })),
  );
}

function events(span) {
  const others = span.events.filter((event) => event.name !== "whence.blocked");
  return others.length === 0 ? null : h("section", { class: "stackable" }, h("h3", {}, "Events"),
    others.map((event) => h("details", {}, h("summary", {}, event.name, " ", h("span", { class: "muted number" }, `at ${duration(event.time)}`)), attributes(null, event.attributes))));
}

function attributes(title, of) {
  const names = Object.keys(of).sort();
  return names.length === 0 ? null : h("section", { class: "stackable" }, title && h("h3", {}, title),
    h("dl", { class: "facts attributes" }, names.map((name) => [h("dt", {}, name), h("dd", {}, text(of[name]))])));
}

function text(value) {
  return typeof value === "string" && value.includes("\n") ? h("pre", { class: "stack", tabindex: 0 }, value) : typeof value === "object" ? JSON.stringify(value) : String(value);
}
