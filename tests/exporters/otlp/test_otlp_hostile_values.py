"""Whatever stands in a span, either engine's encoder writes what protobuf reads as it was meant."""

import enum
import math
from collections.abc import Mapping
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

import configured
from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    OPEN,
    Span,
    SpanLifetime,
    Trace,
    TraceIdentity,
    create,
    local,
    open_lifetimes,
    recorder,
)
from whence.engine.resource_types import EXECUTOR_JOB, TASK, TIMER_HANDLE
from whence.exporters.otlp.packing import encoder_for
from whence.exporters.otlp.protobuf import Surroundings
from whence.exporters.spans import SpanMaker
from whence.naming import span_name

MOST = 1 << 20
PREFIX = "own."


class Text(str):
    """A str of the program's."""


class Number(enum.IntEnum):
    """An int of the program's."""

    LEAST = -(2**63)
    BEYOND = 2**63


class Real(float):
    """A float of the program's."""


class Unprintable:
    """What fails at being shown."""

    def __str__(self) -> str:
        raise LookupError


texts = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(categories=["Cs"]), max_size=3),
    st.sampled_from(
        ["", "\0", "\ud800", "ok\udfff", "\U0010ffff", "x" * 20_000, Text("mine\udc80")]
    ),
)
numbers = st.one_of(
    st.integers(),
    st.sampled_from(
        [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**300, True, False, *Number]
    ),
)
reals = st.one_of(
    st.floats(), st.sampled_from([math.nan, -0.0, math.inf, Real(1.5), Real(math.nan)])
)
plain = st.one_of(
    texts,
    numbers,
    reals,
    st.binary(max_size=20),
    st.none(),
    st.just(1j),
    st.builds(Unprintable),
    st.builds(object),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=2),
        st.frozensets(st.integers(), max_size=2),
    ),
    max_leaves=6,
)


def recorded() -> SpanLifetime:
    """One of a task, as the engine makes it."""
    before, recorder.on = recorder.on, True
    try:
        made = create(local.state, TASK, None, local.state.current)
    finally:
        recorder.on = before
    open_lifetimes.pop(made.async_id)
    assert isinstance(made, SpanLifetime)
    return made


@st.composite
def lifetimes(draw: st.DrawFn) -> SpanLifetime:
    drawn = recorded()
    drawn.type = draw(st.sampled_from([TASK, TIMER_HANDLE, EXECUTOR_JOB]))
    drawn.name = draw(st.one_of(st.none(), texts))
    number = st.integers(-(2**63), 2**63 - 1)
    drawn.async_id, drawn.trigger_async_id = draw(st.integers(1, 2**63 - 1)), draw(number)
    drawn.execution_async_id, drawn.steps = draw(number), draw(st.integers(0, 2**63 - 1))
    drawn.thread_id = draw(st.integers(0, 2**63 - 1))
    drawn.created = draw(st.integers(0, 2**61))
    drawn.ended = drawn.created + draw(st.integers(0, 2**61))
    drawn.outcome = draw(st.sampled_from([DONE, CANCELLED, FAILED, OPEN]))
    drawn.fate, drawn.fire_and_forget = "kept", draw(st.booleans())
    if drawn.outcome == FAILED:
        drawn.error = (draw(texts), draw(texts))
    drawn.attributes = draw(st.dictionaries(texts.map(PREFIX.__add__), values, max_size=4)) or None
    trace = Trace(None)
    trace.identify(TraceIdentity(draw(st.integers(1, 2**128 - 1)), None, None, sampled=True))
    drawn.span = Span(trace, drawn.async_id, 0, None)
    return drawn


def as_read(text: str) -> str:
    return str(text).encode(errors="replace").decode()


def meant(value: Any) -> Any:
    """What a reader is to find."""
    if isinstance(value, str):
        return as_read(value)
    if isinstance(value, bool | bytes | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, list | tuple):
        return [meant(item) for item in value]
    try:
        return as_read(str(value))
    except LookupError:
        return "<unprintable: LookupError>"


def found(value: Any) -> Any:
    """What a reader finds."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [found(item) for item in value.array_value.values]
    return getattr(value, kind)


def alike(one: Any, other: Any) -> bool:
    """NaN is NaN here, True is not 1, and -0.0 is not 0.0."""
    if isinstance(one, list):
        pairs = zip(one, other, strict=True)
        return isinstance(other, list) and all(alike(*pair) for pair in pairs)
    if isinstance(one, float):
        return isinstance(other, float) and float(one).hex() == float(other).hex()
    return type(one) is type(other) and one == other


def attributes_of(span: Any) -> Mapping[str, Any]:
    return {attribute.key: found(attribute.value) for attribute in span.attributes}


def hostile(name: str, **attributes: Any) -> SpanLifetime:
    """One that has been drawn once."""
    lifetime = recorded()
    lifetime.name, lifetime.outcome, lifetime.fate = name, DONE, "kept"
    lifetime.ended, lifetime.fire_and_forget = lifetime.created, False
    lifetime.attributes = {f"{PREFIX}{key}": value for key, value in attributes.items()}
    trace = Trace(None)
    trace.identify(TraceIdentity(1, None, None, sampled=True))
    lifetime.span = Span(trace, lifetime.async_id, 0, None)
    return lifetime


@settings(max_examples=150, deadline=None)
@given(st.lists(lifetimes(), min_size=1, max_size=4))
@example([hostile("\ud800", text="\udfff", number=2**64, real=math.nan, nested=[[b"\xff"], {}])])
def test_protobuf_reads_what_was_meant(batch: list[SpanLifetime]) -> None:
    encoder = encoder_for(SpanMaker(configured.settings()), MOST)
    # Once as the first of its kind, and then by what is remembered of that.
    for _ in range(3):
        runs = [(number, bytes(run)) for number, run in encoder.runs(batch)]
    assert sum(number for number, _ in runs) == len(batch)
    request = b"".join(
        b"".join(map(bytes, Surroundings(Resource({})).request(run))) for _, run in runs
    )
    read = ExportTraceServiceRequest.FromString(request).resource_spans
    spans = [span for one in read for scope in one.scope_spans for span in scope.spans]
    for lifetime, span in zip(batch, spans, strict=True):
        check(lifetime, span)


def check(lifetime: SpanLifetime, span: Any) -> None:
    assert span.name == as_read(span_name(lifetime.type.name, lifetime.name))
    attributes = attributes_of(span)
    assert attributes["whence.async_id"] == lifetime.async_id
    assert attributes["whence.trigger_id"] == lifetime.trigger_async_id
    assert span.end_time_unix_nano - span.start_time_unix_nano == lifetime.ended - lifetime.created
    own = [(key, value) for key, value in attributes.items() if key.startswith(PREFIX)]
    given = {as_read(key): meant(value) for key, value in (lifetime.attributes or {}).items()}
    assert {key for key, _ in own} == given.keys()
    assert all(alike(value, given[key]) for key, value in own), (own, given)
