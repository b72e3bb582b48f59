"""The JSON that the page is made of: every view, field by field.

All of it is GET, from the page's own origin, never cached.  A wrong parameter is 400, what is not
there is 404, each as `{"error": "one line"}`.

Rules:

- Times are seconds since 1970, durations are seconds; inside a trace, times are seconds since the
  trace began.  Ids of traces and spans are lower-case hex, ids of processes are whole numbers.
- What is not known is null; lists are there, and may be empty.
- `from` and `to` limit the time of what is shown (default: everything kept), `service` its service,
  `limit` its number.

`/api/about`
    {program: "whence-dashboard", version, pid, started, url,
     otlp: {http: URL, grpc: URL},
     database: {path, size, limit, oldest: time|null, problem: str|null},
     received: {spans, points, rejected, refused, evicted}}
    size and limit in bytes; problem is one line for people (a database that was replaced, say).
    rejected: spans and points that make no sense; refused: requests; evicted: traces and points
    that went to make room.

`/api/services`
    {services: [{name, processes, traces, last: time}]}

`/api/processes?service=`
    {processes: [Process]}, the latest first
    Process: {id, service, version|null, pid|null, host|null, instance|null, command|null,
              language|null, runtime|null, first: time, last: time,
              whence: bool, local: bool, attributes: {...}}
    whence: it has the agent.  local: it is of this machine, so /api/live may reach it.

`/api/names?service=`
    {names: [str]}: names of spans, for the search.

`/api/now?process=ID&from=&to=`      (default: the last 15 minutes; at most 600 points a series)
    {process: Process, from, to,
     charts: {active, created, destroyed, leaked, delay, utilization, run_time, ready_time,
              queue_time, blocked, cpu, memory: Chart}}
    Chart: {unit, times: [time], series: [{labels: {...}, values: [number|null]}]}
    active         resources alive; labels {type}
    created        a second; labels {type}
    destroyed      a second; labels {type, outcome}
    leaked         so far; labels {type}
    delay, run_time, ready_time, queue_time
                   seconds; labels {statistic: "p50"|"p90"|"p99"|"max"|"mean"}
    utilization    0 to 1; labels {thread}
    blocked        a minute; no labels
    cpu            0 to number of cores; labels {mode: "user"|"system"}
    memory         bytes; no labels

`/api/metrics?process=ID`
    {metrics: [{name, kind: "gauge"|"sum"|"histogram"|"summary", unit, description}]}
`/api/metrics/NAME?process=ID&from=&to=`
    {metric: {...as above}, chart: Chart}: of a sum that only grows, a second; of a histogram its
    p50, p90, p99, mean

`/api/live?process=ID`
    {available: true, resources: [ActiveResource], ...} as the agent's own socket tells it
    (whence.live.snapshot has the fields); {available: false, reason: "one line"} where it does not.

`/api/why?process=ID`
    {available: true, text: str, pid, folder, findings: [...]} what keeps it alive and what is
    stuck, as `whence why PID` prints it; {available: false, reason}

`/api/traces?service=&name=&min=&max=&error=1&blocked=1&from=&to=&limit=&before=`
    {traces: [{trace_id, name, service, services: [str], start, duration, spans, errors,
               blocked, delayed, failed: bool, run|null, ready|null, wait|null}],
     complete: bool, next: str|null}
    name, service, failed, run, ready and wait are of the root span.  The latest first; `name` that
    is asked for is a part of the name of any span of it, min and max are of the duration in
    seconds; errors and spans are numbers, blocked and delayed are seconds.  `next` is `before` of
    the following page; complete is false if the time for searching was over first.

`/api/traces/TRACE_ID`
    {trace_id, name, start, duration, services: [str], processes: {ID: Process}, spans: [Span],
     number, missing: bool, linked_from: [{trace_id, span_id, target, name, start, link: str|null}]}
    Span: {span_id, parent_id|null, name, kind, start, duration, process: ID,
           scope: {name, version},
           status: "unset"|"ok"|"error", message,
           attributes: {...}, events: [{name, time, attributes}],
           links: [{trace_id, span_id, attributes, known: bool}],
           type|null, run|null, ready|null, wait|null, steps|null, outcome|null,
           site: {file, line, function}|null, stack: str|null,
           blocked: seconds, delayed: {by, blocker, time, span: {trace_id, span_id}|null}|null,
           open: bool}
    Ordered by start; kind is one of internal, server, client, producer, consumer, unspecified.
    missing: there were more spans than 20,000, and `number` says how many; parent_id may name a
    span that is not there.  `delayed.by` is the attribute `whence.async_id` of the span that
    blocked; a span that blocked has events "whence.blocked".  linked_from: spans elsewhere that
    link to a span (`target`) of this trace, 100 at most; `links[].attributes["whence.link"]` is
    "trigger" or "segment".  open: a segment of what still goes on.

`/api/blockers?service=&from=&to=`
    {blockers: [{service, file, line, function, number, total, max, last: time,
                 delayed, delayed_names: [str], names: [str], stack: str|null,
                 example: {trace_id, span_id}}]}
    By code location, the one with the largest total (seconds) first.  delayed is the number of
    what it delayed, names what ran there; stack is of the longest.  Of what the watchdog could
    not see, file, line and function are null.

`/api/leaks?service=`
    {sites: [{service, type, name, file, line, function, outcome, number, first, last,
              example: {trace_id, span_id}|null}],
     types: [{service, process: ID, type, leaked, active}]}
    sites: spans of what was garbage before it was settled or closed (outcome "collected"), by
    creation site, the most frequent first.  types: the counters of the agent, which know futures
    and callbacks as well.

`/api/flow?service=`
    {nodes: [{id, service, type, name, file, line, function, number, errors, duration, run, ready,
              wait}],
     edges: [{from, to, link: bool, number, between: {mean, max}}],
     left_out: {nodes}}
    What triggers what, by type, name and creation site.  duration, run, ready, wait are means, null
    where not known.  between: from the beginning of the one to that of the other.  link: by a link,
    not as a child.  left_out: nodes beyond `limit` (the most frequent are shown; default 200).

`/api/events`: server-sent events, `event: changed`
    {spans, points, traces, services: [str]}: what was added since the last one; at most twice a
    second.  `event: hello` comes first, with what /api/about says.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from aiohttp import web

from .storing.database import Database
from .views import findings, live, now, processes, trace, traces
from .views.asked import Asked, NotThere, Wrong

View = Callable[..., dict[str, Any]]

VIEWS: dict[str, View] = {
    "/api/services": processes.services,
    "/api/processes": processes.processes,
    "/api/names": processes.names,
    "/api/now": now.now,
    "/api/metrics": now.metrics,
    "/api/metrics/{name}": now.metric,
    "/api/live": live.live,
    "/api/why": live.why,
    "/api/traces": traces.traces,
    "/api/traces/{trace_id}": trace.trace,
    "/api/blockers": findings.blockers,
    "/api/leaks": findings.leaks,
    "/api/flow": findings.flow,
}
"""Path -> what answers: called with a connection, what was asked, and the word in the path."""

_HEADERS = {"Cache-Control": "no-store"}


def add_routes(app: web.Application, database: Database, executor: Executor) -> None:
    """All views but those that need no table, `/api/about` and `/api/events`."""
    for path, view in VIEWS.items():
        app.router.add_get(path, _handler(view, database, executor))


def answer(content: dict[str, Any], status: int = 200) -> web.Response:
    """JSON."""
    return _response(status, json.dumps(content).encode())


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=_HEADERS)


def _handler(
    view: View, database: Database, executor: Executor
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def take(request: web.Request) -> web.Response:
        asked, words = Asked(request.query), tuple(request.match_info.values())

        def ask() -> bytes:
            found = database.read(lambda connection: view(connection, asked, *words))
            return json.dumps(found).encode()

        try:
            body = await asyncio.get_running_loop().run_in_executor(executor, ask)
        except Wrong as error:
            return answer({"error": str(error)}, 400)
        except NotThere as error:
            return answer({"error": str(error)}, 404)
        except sqlite3.Error as error:
            return answer({"error": f"{database.path}: {error}"}, 503)
        return _response(200, body)

    return take
