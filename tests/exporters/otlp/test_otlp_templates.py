"""Templates against the encoder that knows none: in Python, and where the engine is in C, in C."""

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, TraceState

from configured import settings
from lives import Lives
from whence.engine import DONE, FAILED, OPEN, SpanLifetime, Trace
from whence.engine import Span as Place
from whence.engine.packing import Packer
from whence.engine.resource_types import EXECUTOR_JOB, REQUEST, SERVER, TASK
from whence.exporters.otlp.packing import PackingEncoder, encoder_for
from whence.exporters.otlp.protobuf import SpanEncoder, Surroundings
from whence.exporters.otlp.templates import TemplateEncoder
from whence.exporters.spans import SpanMaker

MOST = 1 << 20

Encoder = TemplateEncoder | PackingEncoder
MakeEncoder = Callable[[SpanMaker, int], Encoder]
ENCODERS: list[MakeEncoder] = [TemplateEncoder, *([PackingEncoder] if Packer is not None else [])]
of_every_kind = pytest.mark.parametrize("make_encoder", ENCODERS)


def parsed(runs: Sequence[bytes]) -> list[Any]:
    request = b"".join(Surroundings(Resource({})).request(b"".join(runs)))
    (resource_spans,) = ExportTraceServiceRequest.FromString(request).resource_spans
    return list(resource_spans.scope_spans[0].spans)


def by_templates(encoder: Encoder, batch: Sequence[SpanLifetime]) -> list[Any]:
    return parsed([bytes(run) for _, run in encoder.runs(batch)])


def the_long_way(maker: SpanMaker, batch: Sequence[SpanLifetime]) -> list[Any]:
    return parsed([SpanEncoder().span(span) for span in maker.spans_of(batch)])


def count_the_long_way(encoder: Encoder) -> list[SpanLifetime]:
    """Those that go it from now on."""
    went: list[SpanLifetime] = []
    by_itself = encoder.by_itself

    def counted(lifetime: SpanLifetime) -> bytes:
        went.append(lifetime)
        return by_itself(lifetime)

    encoder.by_itself = counted  # type: ignore[method-assign]
    return went


@pytest.fixture
def maker() -> SpanMaker:
    return SpanMaker(settings())


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest, maker: SpanMaker) -> Encoder:
    made: Encoder = request.param(maker, MOST)
    return made


def test_the_encoder_is_the_engines_own_if_that_has_one(maker: SpanMaker) -> None:
    assert type(encoder_for(maker, MOST)) is ENCODERS[-1]


# Anything at all

_here = (lambda: None).__code__
_there = parsed.__code__

texts = st.text(max_size=20)
ids = st.one_of(st.integers(0, 2**20), st.integers(0, 2**48 - 1), st.sampled_from([2**42 - 1]))
int64 = st.integers(-(2**63), 2**63 - 1)
any_int = st.integers(-(2**70), 2**70)
values = st.one_of(texts, st.booleans(), any_int, st.floats(), st.lists(texts, max_size=2))
keys = st.one_of(st.sampled_from(["carrier", "thread.id", "whence.steps", "a"]), texts)
kinds = st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["server", "x", None])})
attributes = st.none() | st.builds(dict.__or__, st.dictionaries(keys, values, max_size=3), kinds)
durations = st.one_of(st.integers(0, 10**12), st.integers(-5, 5))
states = st.sampled_from([None, TraceState(), TraceState([("a", "1")])])
events = st.none() | st.lists(st.tuples(texts, st.just(7), st.just({"a": 1})), max_size=2)
contexts = st.builds(
    SpanContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans()
)
few = st.integers(0, 3)


class Drawn:
    """Traces with lifetimes in them."""

    def __init__(self, draw: Any, maker: SpanMaker) -> None:
        self._draw = draw
        self.traces = [self._trace(maker) for _ in range(draw(st.integers(1, 3)))]

    def _trace(self, maker: SpanMaker) -> Trace:
        trace = Trace(None)
        identity = maker.identity_of(trace)
        identity.state = self._draw(states)
        identity.remote_parent = self._draw(st.none() | contexts)
        identity.sampled = self._draw(st.sampled_from([True, True, True, False]))
        return trace

    def lifetime(self) -> SpanLifetime:
        """One like others, but for what is drawn."""
        draw = self._draw
        drawn = SpanLifetime()
        drawn.open = False
        drawn.type = draw(st.sampled_from([TASK, REQUEST, EXECUTOR_JOB]))
        drawn.name = draw(st.none() | st.just("main") | texts)
        drawn.async_id, drawn.trigger_async_id = draw(ids), draw(ids | int64)
        drawn.execution_async_id = draw(ids)
        drawn.code = draw(st.sampled_from([None, _here, _there]))
        drawn.lasti = 2 * draw(few)
        drawn.thread_id = draw(st.sampled_from([1, 2**63 - 1]))
        drawn.created = draw(st.integers(0, 2**60))
        drawn.ended = drawn.created + draw(durations)
        drawn.run, drawn.ready = draw(durations), draw(durations)
        drawn.steps = draw(st.sampled_from([0, 1, 2**14 - 1, 2**14, 2**40]))
        drawn.outcome, drawn.fate = draw(st.sampled_from([DONE, OPEN, FAILED])), "kept"
        drawn.fire_and_forget = draw(st.booleans())
        drawn.error = draw(st.none() | st.tuples(texts, texts))
        drawn.attributes, drawn.events = draw(attributes), draw(events)
        drawn.segments = drawn.links = None
        drawn.link = self.place() if draw(st.booleans()) else None
        drawn.span = self.place()
        return drawn

    def place(self) -> Place:
        draw = self._draw
        trace = draw(st.sampled_from(self.traces))
        parent = Place(trace, draw(ids), draw(few), None) if draw(st.booleans()) else None
        place = Place(trace, draw(ids), draw(few), parent)
        place.consumer = draw(st.booleans())
        place.counted = draw(st.sampled_from([None, {("Task", "main"): [2, 5]}]))
        if parent is None:
            place.above = draw(st.none() | contexts)
        return place


@of_every_kind
@examples(max_examples=60, deadline=None)
@given(data=st.data())
def test_templates_say_what_the_long_way_says(
    make_encoder: MakeEncoder, data: st.DataObject
) -> None:
    maker = SpanMaker(settings())
    drawn = Drawn(data.draw, maker)
    batch = [drawn.lifetime() for _ in range(data.draw(st.integers(1, 5)))]
    encoder = make_encoder(maker, data.draw(st.sampled_from([1, 700, MOST])))
    expected = [str(span) for span in the_long_way(maker, batch)]
    # The first two times there is no template yet.
    for _ in range(3):
        assert [str(span) for span in by_templates(encoder, batch)] == expected
        assert encoder.unsampled == len(batch) - len(expected)


# The ordinary ones are packed


def of_a_program(lives: Lives) -> list[SpanLifetime]:
    main = lives.begin("main")
    for _ in range(3):
        request = lives.begin("GET /", by=main, row=REQUEST)
        request.attributes = {"http.request.method": "GET", "kind": "server", "size": 2.5}
        for _ in range(4):
            lives.live(3, "query", by=request)
        lives.end(request, after=2)
    server = lives.begin("listening", row=SERVER)
    lives.live(2, "accepted", by=server)
    lives.end(server)
    lives.end(main, after=2)
    return lives.come_out()


def test_ordinary_spans_go_the_long_way_twice_at_the_most(
    lives: Lives, maker: SpanMaker, encoder: Encoder
) -> None:
    by_templates(encoder, of_a_program(lives))
    by_templates(encoder, of_a_program(lives))
    went = count_the_long_way(encoder)
    batch = of_a_program(lives)
    assert [str(span) for span in by_templates(encoder, batch)] == [
        str(span) for span in the_long_way(maker, batch)
    ]
    assert len(batch) > 15
    assert not went


def test_names_without_end_are_not_remembered_without_end(
    lives: Lives, maker: SpanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TemplateEncoder(maker, MOST)
    monkeypatch.setattr("whence.exporters.otlp.templates._MAX_TEMPLATES", 10)
    for number in range(35):
        lives.live(2, f"name {number}")
    assert len(by_templates(encoder, lives.come_out())) == 35
    assert len(encoder._templates) <= 10


@pytest.mark.skipif(Packer is None, reason="the engine in Python has no packer")
def test_nor_are_they_by_the_engine_in_c(lives: Lives, maker: SpanMaker) -> None:
    encoder = PackingEncoder(maker, MOST)
    for number in range(5000):
        lives.live(2, f"name {number}")
    batch = lives.come_out()
    # More than there is room for, in one run and in the next ones.
    for _ in range(3):
        assert len(by_templates(encoder, batch)) == 5000
        assert encoder.packer.templates <= 2000
    went = count_the_long_way(encoder)
    ordinary = of_a_program(lives)
    for _ in range(3):
        by_templates(encoder, ordinary)
    assert len(went) <= 2 * len(ordinary)


def test_a_code_object_that_is_gone_is_not_taken_for_another(
    lives: Lives, maker: SpanMaker, encoder: Encoder
) -> None:
    """Templates are found by its id, which a new one may be given."""

    def compiled(name: str) -> CodeType:
        return compile("pass", name, "exec")

    for number in range(50):
        for _ in range(3):
            lifetime = lives.live(2, "main")
            lifetime.code, lifetime.lasti = compiled(f"file {number}"), 0
        batch = lives.come_out()
        sent = by_templates(encoder, batch)
        assert [str(span) for span in sent] == [str(span) for span in the_long_way(maker, batch)]
        del lifetime, batch


@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
    ],
)
@pytest.mark.parametrize("limit", [0, 1, 5, 12, 17])
@of_every_kind
def test_the_limits_of_the_sdk_hold(
    lives: Lives,
    monkeypatch: pytest.MonkeyPatch,
    make_encoder: MakeEncoder,
    variable: str,
    limit: int,
) -> None:
    monkeypatch.setenv(variable, str(limit))
    maker = SpanMaker(settings())
    encoder = make_encoder(maker, MOST)
    for _ in range(3):
        batch = of_a_program(lives)
        assert [str(span) for span in by_templates(encoder, batch)] == [
            str(span) for span in the_long_way(maker, batch)
        ]


# Runs


@of_every_kind
def test_the_span_that_fills_a_run_ends_it(
    lives: Lives, maker: SpanMaker, make_encoder: MakeEncoder
) -> None:
    for _ in range(40):
        lives.live(2, "main")
    batch = lives.come_out()
    encoder = make_encoder(maker, 2000)
    for _ in range(3):
        runs = [(number, bytes(run)) for number, run in encoder.runs(batch)]
        assert sum(number for number, _ in runs) == 40
        for number, run in runs[:-1]:
            sizes = [span.ByteSize() for span in parsed([run])]
            assert len(sizes) == number
            assert len(run) >= 2000
            assert sum(sizes[:-1]) < 2000


def test_a_span_larger_than_any_run_is_a_run_of_its_own(
    lives: Lives, maker: SpanMaker, encoder: Encoder
) -> None:
    for size in (1, MOST * 2, 1, MOST * 2, 1, 10_000):
        lives.live(2, "x" * size)
    batch = lives.come_out()
    for _ in range(3):
        runs = [(number, bytes(run)) for number, run in encoder.runs(batch)]
        assert [number for number, _ in runs] == [1, 1, 1, 1, 2]
        assert parsed([run for _, run in runs]) == the_long_way(maker, batch)


class Unprintable:
    def __str__(self) -> str:
        raise ZeroDivisionError


def test_what_cannot_be_encoded_does_not_take_others_with_it(
    lives: Lives, encoder: Encoder
) -> None:
    for name in ("before", "broken", "unprintable", "after"):
        lifetime = lives.live(2, name)
        if name == "broken":
            lifetime.created = lifetime.ended = -(2**62)
        if name == "unprintable":
            lifetime.attributes = {"value": Unprintable()}
    batch = lives.come_out()
    for _ in range(3):
        sent = by_templates(encoder, batch)
        assert [span.name for span in sent] == ["task before", "task unprintable", "task after"]
        assert sent[1].attributes[-1].value.string_value == "<unprintable: ZeroDivisionError>"
