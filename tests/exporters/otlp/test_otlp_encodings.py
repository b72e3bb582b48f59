"""Both encodings of OTLP against the SDK's encoder and protobuf's own parser."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from receivers import request_of_json
from whence.engine import SpanLifetime
from whence.exporters.otlp.fields import trace_state
from whence.exporters.otlp.json_encoder import JsonEncoder
from whence.exporters.otlp.protobuf import SpanEncoder, Surroundings
from whence.exporters.readable import readable
from whence.exporters.spans import Span

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
int64 = st.integers(-(2**63), 2**63 - 1)
scalars = st.one_of(texts, st.booleans(), int64, st.floats(allow_nan=False))
values = st.one_of(scalars, st.lists(texts, max_size=3), st.lists(int64, max_size=3))
attributes = st.dictionaries(st.text("abc.é", min_size=1, max_size=8), values, max_size=8)
nanoseconds = st.integers(0, 2**63 - 1)
states = st.sampled_from([TraceState(), TraceState([("a", "1"), ("b@c", "x y")])])
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.just(TraceFlags(1)),
    trace_state=states,
)


def make(fields: dict[str, Any]) -> Span:
    span = Span()
    for name, value in fields.items():
        setattr(span, name, value)
    span.lifetime = SpanLifetime()
    return span


spans = st.builds(
    make,
    st.fixed_dictionaries(
        {
            "name": texts,
            "context": contexts,
            "parent": st.none() | contexts,
            "kind": st.sampled_from(SpanKind),
            "start": nanoseconds,
            "end": nanoseconds,
            "attributes": attributes,
            "dropped_attributes": st.integers(0, 300),
            "error": st.none()
            | st.tuples(st.sampled_from(["ValueError", "503", "a.b.Error"]), texts),
            "events": st.lists(st.tuples(texts, nanoseconds, attributes), max_size=3),
            "links": st.lists(st.tuples(contexts, attributes), max_size=3),
        }
    ),
)
resources = st.builds(Resource, attributes, st.sampled_from(["", "https://schemas.test/1"]))


def encoded_by_hand(some: list[Span], resource: Resource) -> bytes:
    return b"".join(Surroundings(resource).request(b"".join(map(SpanEncoder().span, some))))


@examples(max_examples=50, deadline=None)
@given(st.lists(spans, min_size=1, max_size=4), resources)
def test_protobuf_is_what_the_sdk_would_send(some: list[Span], resource: Resource) -> None:
    encoded = encoded_by_hand(some, resource)
    expected = encode_spans([readable(span, resource) for span in some])
    sent = [s for r in expected.resource_spans for p in r.scope_spans for s in p.spans]
    for span, encoded_span in zip(some, sent, strict=True):
        # The one thing that the SDK leaves out.
        for link, (context, _) in zip(encoded_span.links, span.links, strict=True):
            link.trace_state = trace_state(context)
    assert ExportTraceServiceRequest.FromString(encoded) == expected


@examples(max_examples=50, deadline=None)
@given(st.lists(spans, min_size=1, max_size=4), resources)
def test_json_says_the_same_as_protobuf(some: list[Span], resource: Resource) -> None:
    line = JsonEncoder().request(some, resource)
    assert "\n" not in line
    encoded = encoded_by_hand(some, resource)
    assert request_of_json(line) == ExportTraceServiceRequest.FromString(encoded)


def span_with(**fields: Any) -> Span:
    context = SpanContext(1, 2, is_remote=False)
    given: dict[str, Any] = {
        "name": "main",
        "context": context,
        "parent": None,
        "kind": SpanKind.INTERNAL,
        "start": 1,
        "end": 2,
        "attributes": {},
        "dropped_attributes": 0,
        "error": None,
        "events": [],
        "links": [],
    }
    return make(given | fields)


@pytest.mark.parametrize("text", ["lone \udce9 surrogate", "nul \x00", "\N{SNAKE}"])
def test_any_text_of_python_can_be_sent(text: str) -> None:
    span = span_with(name=text, attributes={"file": text}, error=("ValueError", text))
    resource = Resource({})
    encoded = encoded_by_hand([span], resource)
    (sent,) = ExportTraceServiceRequest.FromString(encoded).resource_spans[0].scope_spans[0].spans
    assert sent.name == text.encode(errors="replace").decode()
    assert request_of_json(JsonEncoder().request([span], resource)).resource_spans


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_json_does_not_know_are_named(number: float) -> None:
    line = JsonEncoder().request([span_with(attributes={"number": number})], Resource({}))
    parsed = request_of_json(line)
    value = parsed.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.double_value
    assert value == number or (value != value and number != number)


def test_json_is_what_protobuf_makes_of_it_but_for_the_ids() -> None:
    """64-bit numbers are strings, enums numbers, names in lowerCamelCase."""
    span = span_with(attributes={"n": 2**40}, links=[(SpanContext(3, 4, is_remote=True), {})])
    encoded = encoded_by_hand([span], Resource({"service.name": "s"}))
    expected = json_format.MessageToDict(
        ExportTraceServiceRequest.FromString(encoded), use_integers_for_enums=True
    )
    (sent,) = expected["resourceSpans"][0]["scopeSpans"][0]["spans"]
    sent |= {"traceId": f"{1:032x}", "spanId": f"{2:016x}"}
    sent["links"][0] |= {"traceId": f"{3:032x}", "spanId": f"{4:016x}", "attributes": []}
    assert json.loads(JsonEncoder().request([span], Resource({"service.name": "s"}))) == expected
