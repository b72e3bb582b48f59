"""A finished trace: what it says of the lives in it."""

import time

import pytest

from lives import MS, Lives
from whence.engine import Span, SpanLifetime, TraceIdentity, Tracer, UserSpan, place_now
from whence.engine.resource_types import EXECUTOR_JOB, REQUEST
from whence.listening.finished_traces import Trace, trace_of


def finished(lives: Lives) -> Trace:
    return trace_of(lives.come_out(), has_all=True)


def test_spans_are_grouped_under_what_triggered_them(lives: Lives) -> None:
    main = lives.begin("main")
    first = lives.begin("first", by=main)
    lives.live(2, "inner", by=first)
    lives.end(first)
    lives.live(2, "second", by=main)
    lives.end(main)
    trace = finished(lives)
    assert trace.is_complete
    assert [span.name for span in trace.spans] == [
        "task main",
        "task first",
        "task inner",
        "task second",
    ]
    assert trace.root is trace.spans[0]
    assert trace.root.parent is None
    assert [span.name for span in trace.root.children] == ["task first", "task second"]
    inner = trace.root.children[0].children[0]
    assert inner.parent is trace.root.children[0]
    assert [span.async_id for span in trace.root.walk()] == [s.async_id for s in trace.spans]
    assert inner.trigger_async_id == first.async_id


def test_its_times_are_those_of_the_life(lives: Lives) -> None:
    main = lives.begin("main")
    lives.wait(1)
    with lives.running(main):
        lives.wait(4)
    lives.wait(16)
    child = lives.begin("child", by=main)
    lives.end(main, after=32)
    lives.end(child, after=7)
    trace = finished(lives)
    root, late = trace.root, trace.root.children[0]
    assert (root.run, root.ready, root.wait, root.steps) == (0.004, 0.001, 0.048, 1)
    assert root.duration == pytest.approx(0.053, abs=1e-6)
    assert late.start - root.start == pytest.approx(0.021, abs=1e-6)
    assert (trace.start, trace.end) == (root.start, late.end)
    assert trace.duration == pytest.approx(0.060, abs=1e-6)


def test_its_times_of_day_are_those_of_time(lives: Lives) -> None:
    lives.now = time.monotonic_ns()
    before = time.time()
    lives.live(0, "main", row=REQUEST, outcome="done")
    lives.fail(lives.begin("main"), ValueError())
    (span,) = finished(lives).spans
    assert before - 0.001 <= span.start <= span.end <= time.time() + 0.001


def test_it_says_how_and_where(lives: Lives) -> None:
    job = lives.begin("resize", row=EXECUTOR_JOB)
    job.attributes = {"kind": "client", "carrier": {"traceparent": "x"}, "url.path": "/"}
    job.events = [("whence.blocked", job.created + 3 * MS, {"seconds": 0.2})]
    lives.fail(job, LookupError("nobody"), after=5)
    span = finished(lives).root
    assert (span.type, span.name, span.outcome) == ("ExecutorJob", "executor resize", "failed")
    assert span.error == ("LookupError", "nobody")
    assert span.site is not None
    assert (span.site.file, span.site.function) == (__file__, "test_it_says_how_and_where")
    assert span.attributes == {"url.path": "/"}
    (event,) = span.events
    assert (event.name, event.attributes) == ("whence.blocked", {"seconds": 0.2})
    assert event.time - span.start == pytest.approx(0.003, abs=1e-6)
    assert (span.thread_id, span.execution_async_id) == (job.thread_id, job.execution_async_id)


def test_what_was_too_much_is_counted_by_name(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    for _ in range(4):
        lives.live(2, "child", by=main)
    lives.end(main)
    trace = finished(lives)
    assert len(trace.spans) == 2
    ((name, (number, seconds)),) = trace.root.counted.items()
    assert (name, number, seconds) == ("task child", 3, pytest.approx(0.006))


def test_segments_of_one_life_are_told_apart(lives: Lives) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    first = lives.cut(main)
    lives.live(2, "after", by=main)
    lives.end(main)
    (child, last) = lives.come_out()
    before, after = trace_of([first], True), trace_of([child, last], True)
    assert (before.root.outcome, after.root.outcome) == ("open", "done")
    assert (before.is_complete, after.is_complete) == (False, True)
    assert before.root.async_id == after.root.async_id
    assert [span.name for span in after.root.children] == ["task after"]


def test_what_comes_without_its_root_is_not_complete(lives: Lives) -> None:
    main = lives.begin("main")
    lives.live(2, "a", by=main)
    lives.live(2, "b", by=main)
    trace = finished(lives)
    assert not trace.is_complete
    assert trace.root.name == "task a"
    assert [span.parent for span in trace.spans] == [None, None]


def test_what_a_person_reads_of_it_names_it(lives: Lives) -> None:
    main: SpanLifetime = lives.live(2, "main")
    trace = finished(lives)
    assert repr(trace) == "<Trace task main, 1 spans>"
    assert repr(trace.root) == f"<Span {main.async_id} task main>"


def test_what_is_under_a_span_of_the_application_is_under_what_that_was_in(lives: Lives) -> None:
    main = lives.begin("main")
    with lives.running(main):
        context = object()
        user = UserSpan(TraceIdentity(1, None, None, sampled=True), context, None, remote=False)
        child = lives.begin("child", by=main)
    # As it is where the application's span is the parent, which has a place in the same trace.
    place, above = place_now(main), user.span
    assert place is not None
    assert above is not None
    child.parent = None
    child.span = Span(place.trace, child.async_id, 0, above)
    lives.end(child, after=2)
    lives.end(main)
    trace = finished(lives)
    assert [span.name for span in trace.root.children] == ["task child"]
