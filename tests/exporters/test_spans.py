"""From a lifetime to a span."""

import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import SpanKind, StatusCode

from configured import settings
from lives import MS, Lives
from whence.engine import SpanLifetime, Tracer
from whence.engine.resource_types import EXECUTOR_JOB, REQUEST, SERVER, TIMER_HANDLE, TRANSPORT
from whence.exporters.provider import Provider, Providers
from whence.exporters.readable import readable
from whence.exporters.spans import Span, SpanMaker, span_maker


@pytest.fixture
def maker() -> SpanMaker:
    return SpanMaker(settings())


def spans_of(lives: Lives, maker: SpanMaker) -> dict[str, Span]:
    """What comes out now, by name."""
    return {span.name: span for span in maker.spans_of(lives.come_out())}


def one(lives: Lives, maker: SpanMaker) -> Span:
    (span,) = maker.spans_of(lives.come_out())
    return span


def test_a_span_says_what_ran_how_long_and_where(lives: Lives, maker: SpanMaker) -> None:
    main = lives.begin("main")
    task = lives.begin("serve.<locals>.checkout", by=main)
    lives.wait(3)
    with lives.running(task):
        lives.wait(2)
    lives.end(task, after=5)
    span = one(lives, maker)
    assert span.name == "task checkout"
    assert span.end - span.start == 10 * MS
    line = test_a_span_says_what_ran_how_long_and_where.__code__.co_firstlineno + 2
    assert span.attributes == {
        "whence.type": "Task",
        "whence.async_id": task.async_id,
        "whence.trigger_id": main.async_id,
        "whence.execution_id": 1,
        "whence.outcome": "done",
        "whence.run_time": 0.002,
        "whence.ready_time": 0.003,
        "whence.wait_time": 0.005,
        "whence.steps": 1,
        "thread.id": task.thread_id,
        "code.file.path": __file__,
        "code.line.number": line,
        "code.function.name": "test_a_span_says_what_ran_how_long_and_where",
    }


def test_the_wall_clock_is_read_once_for_a_trace(lives: Lives, maker: SpanMaker) -> None:
    lives.now = time.monotonic_ns()
    before = time.time_ns()
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.end(main, after=3)
    spans = spans_of(lives, maker)
    child, root = spans["task child"], spans["task main"]
    assert (child.start, child.end) == (root.start, root.start + 2 * MS)
    assert root.end - root.start == 5 * MS
    assert abs(root.start - before) < 10_000 * MS


def test_times_never_add_up_to_more_than_the_life(lives: Lives, maker: SpanMaker) -> None:
    """A timer is ready from the moment it is due, which may be after it was called."""
    timer = lives.begin("tick", row=TIMER_HANDLE)
    lives.wait(4)
    timer.run, timer.ready = 3 * MS, 50 * MS
    lives.end(timer)
    attributes = one(lives, maker).attributes
    times = [attributes[f"whence.{part}_time"] for part in ("run", "ready", "wait")]
    assert times == [0.003, 0.001, 0.0]


def test_a_time_that_is_negative_is_none(lives: Lives, maker: SpanMaker) -> None:
    timer = lives.begin("tick", row=TIMER_HANDLE)
    lives.wait(4)
    timer.ready = -5 * MS
    lives.end(timer)
    attributes = one(lives, maker).attributes
    assert attributes["whence.ready_time"] == 0
    assert attributes["whence.wait_time"] == 0.004


# Who it is


def test_parent_and_child_find_each_other_by_their_ids(lives: Lives, maker: SpanMaker) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    child = spans_of(lives, maker)["task child"]
    lives.end(main)
    root = one(lives, maker)
    assert child.parent is not None
    assert child.parent.span_id == root.context.span_id
    assert child.context.trace_id == root.context.trace_id
    assert root.parent is None
    assert child.context.span_id != root.context.span_id
    assert root.context.is_valid


def test_two_roots_are_two_traces(lives: Lives, maker: SpanMaker) -> None:
    lives.live(2, "one")
    lives.live(2, "two")
    spans = spans_of(lives, maker)
    assert spans["task one"].context.trace_id != spans["task two"].context.trace_id


def test_every_exporter_of_a_process_gives_a_span_the_same_ids(lives: Lives) -> None:
    chosen = settings()
    lives.live(2, "main")
    batch = lives.come_out()
    first = span_maker(chosen).spans_of(batch)
    second = span_maker(chosen).spans_of(batch)
    assert first[0].context == second[0].context
    assert span_maker(chosen).resource is span_maker(chosen).resource


def test_segments_have_ids_of_their_own(lives: Lives, maker: SpanMaker) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    first = lives.cut(main)
    lives.wait(60_000)
    second = lives.cut(main)
    spans = maker.spans_of([first, second])
    assert len({span.context.span_id for span in spans}) == 2
    assert len({span.context.trace_id for span in spans}) == 2
    assert [span.attributes["whence.segment"] for span in spans] == [0, 1]
    assert [span.attributes["whence.outcome"] for span in spans] == ["open", "open"]


def test_a_segment_is_linked_to_the_one_before(lives: Lives, maker: SpanMaker) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    first, second = maker.spans_of([lives.cut(main), (lives.wait(60_000), lives.cut(main))[1]])
    assert first.links == []
    assert second.links == [(first.context, {"whence.link": "segment"})]


def test_a_boundary_is_linked_to_what_triggered_it(lives: Lives, maker: SpanMaker) -> None:
    server = lives.begin(row=SERVER)
    lives.live(2, "accept", by=server, row=TRANSPORT)
    lives.end(server)
    spans = spans_of(lives, maker)
    assert spans["accept"].links == [(spans["server"].context, {"whence.link": "trigger"})]


# Kinds


@pytest.mark.parametrize(
    ("lifetime", "kind"),
    [
        (lambda lives: lives.live(2, "GET /", row=REQUEST), SpanKind.SERVER),
        (lambda lives: lives.live(2, "main"), SpanKind.INTERNAL),
        (lambda lives: lives.live(2, "resize", row=EXECUTOR_JOB), SpanKind.INTERNAL),
    ],
)
def test_a_request_is_served_and_most_else_is_internal(
    lives: Lives, maker: SpanMaker, lifetime: Any, kind: SpanKind
) -> None:
    lifetime(lives)
    assert one(lives, maker).kind is kind


def test_an_instrumentation_may_say_the_kind(lives: Lives, maker: SpanMaker) -> None:
    connection = lives.begin("connect", row=TRANSPORT)
    connection.attributes = {"kind": "client", "server.port": 80}
    lives.end(connection, after=2)
    span = one(lives, maker)
    assert span.kind is SpanKind.CLIENT
    assert span.attributes["server.port"] == 80
    assert "kind" not in span.attributes


def test_fire_and_forget_is_a_producer_and_its_consumers(lives: Lives, maker: SpanMaker) -> None:
    forgetting = lives.begin("forgetting")
    lives.live(2, "awaited", by=forgetting)
    forgotten = lives.begin("forgotten", by=forgetting)
    lives.end(forgetting, after=2)
    lives.live(2, "part", by=forgotten)
    lives.end(forgotten, after=2)
    kinds = {name: span.kind for name, span in spans_of(lives, maker).items()}
    assert kinds == {
        "task forgetting": SpanKind.PRODUCER,
        "task awaited": SpanKind.INTERNAL,
        "task forgotten": SpanKind.CONSUMER,
        "task part": SpanKind.INTERNAL,
    }


def test_a_request_that_leaves_work_behind_is_still_a_server(
    lives: Lives, maker: SpanMaker
) -> None:
    request = lives.begin("GET /", row=REQUEST)
    lives.begin("left", by=request)
    lives.end(request, after=2)
    assert one(lives, maker).kind is SpanKind.SERVER


# Failures


def test_a_failure_is_an_error_with_an_exception(lives: Lives, maker: SpanMaker) -> None:
    lives.fail(lives.begin("failing"), ValueError("no such thing"), after=2)
    span = readable(one(lives, maker), maker.resource)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: no such thing"
    (event,) = span.events
    assert event.name == "exception"
    assert event.timestamp == span.end_time
    assert dict(event.attributes or {}) == {
        "exception.type": "ValueError",
        "exception.message": "no such thing",
    }
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert span.attributes["whence.outcome"] == "failed"


def test_an_exception_without_a_message_is_named(lives: Lives, maker: SpanMaker) -> None:
    lives.fail(lives.begin("failing"), TimeoutError(), after=2)
    assert one(lives, maker).status_text == "TimeoutError"


def test_a_cancellation_is_no_error(lives: Lives, maker: SpanMaker) -> None:
    lives.live(2, "cancelled", outcome="cancelled")
    span = readable(one(lives, maker), maker.resource)
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()
    assert span.attributes is not None
    assert span.attributes["whence.outcome"] == "cancelled"


def test_a_status_of_500_is_an_error_without_an_exception(lives: Lives, maker: SpanMaker) -> None:
    request = lives.begin("GET /", row=REQUEST)
    request.error = ("503", "Service Unavailable")
    lives.end(request, "failed", after=2)
    span = one(lives, maker)
    assert span.events == []
    assert span.status_text == "503: Service Unavailable"
    assert span.attributes["error.type"] == "503"


# Events


def test_what_happened_in_it_comes_in_order_and_on_the_wall_clock(
    lives: Lives, maker: SpanMaker
) -> None:
    lifetime = lives.begin("blocks")
    lives.wait(1)
    lifetime.events = [("whence.blocked", lives.now, {"whence.blocked.time": 0.2})]
    lives.fail(lifetime, ValueError(), after=2)
    span = one(lives, maker)
    blocked, exception = span.events
    assert blocked == ("whence.blocked", span.start + MS, {"whence.blocked.time": 0.2})
    assert exception[:2] == ("exception", span.end)


@pytest.mark.parametrize(
    ("variable", "limit", "names"),
    [
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", 2, ["late", "exception"]),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", 0, []),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 1, ["early", "late", "exception"]),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 3, ["early", "late", "exception"]),
    ],
)
def test_the_limits_of_the_sdk_hold_for_events(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, variable: str, limit: int, names: list[str]
) -> None:
    monkeypatch.setenv(variable, str(limit))
    lifetime = lives.begin("blocks")
    lifetime.events = [(name, lives.now, {"a": "12345", "b": 1}) for name in ("early", "late")]
    lives.fail(lifetime, ValueError("12345"), after=2)
    span = one(lives, SpanMaker(settings()))
    assert [name for name, _, _ in span.events] == names
    for _, _, attributes in span.events:
        assert len(attributes) == (1 if variable.startswith("OTEL_EVENT") else 2)
        texts = [value for value in attributes.values() if isinstance(value, str)]
        assert all(len(text) <= (3 if "LENGTH" in variable else 10) for text in texts)


def test_the_limit_of_links_holds(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "0")
    server = lives.begin("listening", row=SERVER)
    lives.live(2, "accepted", by=server)
    assert one(lives, SpanMaker(settings())).links == []


# What was too much


def test_what_was_counted_stands_on_the_ancestor(lives: Lives, maker: SpanMaker) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    for _ in range(4):
        lives.live(2, "a.<locals>.child", by=main)
    lives.live(5, "b.<locals>.child", by=main)
    lives.live(7, "_set_result_unless_cancelled", by=main, row=TIMER_HANDLE)
    lives.end(main)
    attributes = spans_of(lives, maker)["task main"].attributes
    assert attributes["whence.counted.names"] == ["task child", "timer sleep"]
    assert attributes["whence.counted.numbers"] == [4, 1]
    assert attributes["whence.counted.times"] == [pytest.approx(0.011), pytest.approx(0.007)]


# Sampling and remote parents


class Sampler(sampling.Sampler):
    """Keeps every other trace, adds an attribute, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *rest: Any) -> Any:
        self.asked.append((name, rest[0]))
        keep = len(self.asked) % 2 == 1
        decision = sampling.Decision.RECORD_AND_SAMPLE if keep else sampling.Decision.DROP
        return sampling.SamplingResult(decision, {"sampler": "ours"})

    def get_description(self) -> str:
        return "every other"


def maker_with(sampler: sampling.Sampler, monkeypatch: pytest.MonkeyPatch) -> SpanMaker:
    made = SpanMaker(settings())
    given = made._provider
    provider = Provider(given.resource, sampler, given.id_generator, given.limits)
    monkeypatch.setattr(Providers, "current", lambda self: provider)
    return made


def test_the_sampler_is_asked_once_for_each_trace_and_all_inherit(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler()
    maker = maker_with(sampler, monkeypatch)
    for name in ("first", "second"):
        request = lives.begin(name, row=REQUEST)
        for _ in range(3):
            lives.live(2, "child", by=request)
        lives.end(request)
    spans = maker.spans_of(lives.come_out())
    assert [span.name for span in spans] == ["task child"] * 3 + ["first"]
    assert sampler.asked == [("first", SpanKind.SERVER), ("second", SpanKind.SERVER)]
    assert all(span.context.trace_flags.sampled for span in spans)


def test_what_the_sampler_adds_stands_on_the_root(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = maker_with(Sampler(), monkeypatch)
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.end(main)
    spans = spans_of(lives, maker)
    assert spans["task main"].attributes["sampler"] == "ours"
    assert "sampler" not in spans["task child"].attributes


REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def request_with(lives: Lives, headers: dict[str, str]) -> SpanLifetime:
    request = lives.begin("GET /", row=REQUEST)
    request.attributes = {"carrier": headers}
    return request


def test_a_request_continues_the_trace_of_who_sent_it(lives: Lives, maker: SpanMaker) -> None:
    request = request_with(lives, {"Traceparent": REMOTE, "tracestate": "vendor=1"})
    lives.live(2, "child", by=request)
    lives.end(request)
    spans = spans_of(lives, maker)
    root, child = spans["GET /"], spans["task child"]
    assert root.parent is not None
    assert root.parent.is_remote
    assert f"{root.parent.span_id:016x}" == "b7ad6b7169203331"
    for span in (root, child):
        assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
        assert span.context.trace_state.get("vendor") == "1"
    assert child.parent is not None
    assert (child.parent.span_id, child.parent.is_remote) == (root.context.span_id, False)
    assert "carrier" not in root.attributes


def test_who_sent_a_request_decides_whether_it_is_sampled(lives: Lives, maker: SpanMaker) -> None:
    lives.end(request_with(lives, {"traceparent": REMOTE[:-1] + "0"}), after=2)
    assert maker.spans_of(lives.come_out()) == []


def test_headers_that_make_no_sense_root_a_trace(lives: Lives, maker: SpanMaker) -> None:
    lives.end(request_with(lives, {"traceparent": "00-zz-\x00"}), after=2)
    span = one(lives, maker)
    assert span.parent is None
    assert span.context.is_valid


def test_other_propagators_are_understood_as_the_environment_says(
    lives: Lives, maker: SpanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry import propagate
    from opentelemetry.baggage.propagation import W3CBaggagePropagator

    monkeypatch.setattr(propagate, "propagators", None, raising=False)
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(W3CBaggagePropagator())
    try:
        lives.end(request_with(lives, {"traceparent": REMOTE}), after=2)
        assert one(lives, maker).parent is None
    finally:
        propagate.set_global_textmap(before)


# Limits


def test_the_limits_of_opentelemetry_hold(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "4")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    maker = SpanMaker(settings())
    lives.live(2, "main")
    span = one(lives, maker)
    assert list(span.attributes) == [
        "whence.type",
        "whence.async_id",
        "whence.trigger_id",
        "whence.execution_id",
    ]
    assert span.attributes["whence.type"] == "Tas"
    assert span.dropped_attributes > 0
    assert readable(span, maker.resource).dropped_attributes == span.dropped_attributes
