// Who blocked whom in a trace.

/** [{span, at, time, event}] of every block in the trace, in the order of their times. */
export function blocksOf(spans) {
  const blocks = spans.flatMap((span) =>
    span.events
      .filter((event) => event.name === "whence.blocked")
      .map((event) => ({ span, at: event.time, time: Number(event.attributes["whence.blocked.time"] ?? 0), event })));
  return blocks.sort((a, b) => a.at - b.at);
}

/** Ids of the spans that had to wait for this one, or that it had to wait for. An async id means
 *  something inside one process only. */
export function related(span, spans) {
  const own = span.attributes["whence.async_id"];
  const delayed = new Set(
    span.events.filter((event) => event.name === "whence.blocked").flatMap((event) => event.attributes["whence.delayed.ids"] ?? []));
  const others = spans.filter((other) => {
    if (other === span || other.process !== span.process) return false;
    const id = other.attributes["whence.async_id"];
    return (span.blocked > 0 && other.delayed?.by === own && own !== undefined) || delayed.has(id) || (span.delayed && span.delayed.by === id && other.blocked > 0);
  });
  return new Set(others.map((other) => other.span_id));
}

/** Where the blocker of a delayed span is: {trace_id, span_id}, or null. */
export function blockerOf(span, spans, traceId) {
  if (!span.delayed) return null;
  if (span.delayed.span) return span.delayed.span;
  const here = spans.find((other) => other.process === span.process && other.blocked > 0 && other.attributes["whence.async_id"] === span.delayed.by);
  return here ? { trace_id: traceId, span_id: here.span_id } : null;
}
