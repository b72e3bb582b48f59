"""The encoder in C: what it writes is what protobuf reads, and no wrong use of it does harm."""

import gc
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from configured import settings
from lives import Lives
from whence.engine import DONE, Span, SpanLifetime, Trace, TraceIdentity, twin
from whence.engine.packing import ROOMS, Packer
from whence.engine.resource_types import TASK
from whence.exporters.otlp.packing import PackingEncoder
from whence.exporters.otlp.protobuf import Surroundings
from whence.exporters.spans import SpanMaker
from whence.naming import span_name

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

MOST = 1 << 20


def parsed(run: Any) -> list[Any]:
    request = b"".join(Surroundings(Resource({})).request(bytes(run)))
    (resource_spans,) = ExportTraceServiceRequest.FromString(request).resource_spans
    return list(resource_spans.scope_spans[0].spans)


# What is written, against what was given

int64 = st.integers(-(2**63), 2**63 - 1)
sizes = st.one_of(*(st.integers(0, 2**bits - 1) for bits in (7, 14, 21, 28, 35, 42, 49, 56, 63)))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
values = st.one_of(texts, st.booleans(), int64, sizes, st.floats(allow_nan=False))
OWN = "own."


@st.composite
def lifetimes(draw: st.DrawFn) -> SpanLifetime:
    drawn = SpanLifetime()
    drawn.type, drawn.name = TASK, draw(texts)
    drawn.async_id, drawn.trigger_async_id = draw(sizes), draw(int64)
    drawn.execution_async_id, drawn.steps = draw(int64), draw(int64)
    drawn.thread_id = draw(sizes)
    drawn.created = draw(st.integers(0, 2**61))
    drawn.run, drawn.ready, wait = (draw(st.integers(0, 2**55)) for _ in range(3))
    drawn.ended = drawn.created + drawn.run + drawn.ready + wait
    drawn.outcome, drawn.fate = DONE, "kept"
    drawn.fire_and_forget = False
    drawn.attributes = draw(st.dictionaries(texts.map(OWN.__add__), values, max_size=4)) or None
    trace = Trace(None)
    trace.identify(TraceIdentity(draw(st.integers(1, 2**128 - 1)), None, None, sampled=True))
    drawn.span = Span(trace, drawn.async_id, 0, None)
    return drawn


def value_of(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def same(one: Any, other: Any) -> bool:
    """0.0 is not -0.0, and True is not 1."""
    if type(one) is not type(other):
        return False
    return (
        one == other if type(one) is not float else struct.pack("d", one) == struct.pack("d", other)
    )


@examples(max_examples=150, deadline=None)
@given(st.lists(lifetimes(), min_size=1, max_size=4))
def test_protobuf_reads_what_was_given(batch: list[SpanLifetime]) -> None:
    encoder = PackingEncoder(SpanMaker(settings()), MOST)
    for _ in range(3):
        ((number, run),) = encoder.runs(batch)
        assert number == len(batch)
        data = bytes(run)
    for lifetime, span in zip(batch, parsed(data), strict=True):
        identity = lifetime.span.trace.identity  # type: ignore[union-attr]
        assert span.name == span_name("Task", lifetime.name)
        assert span.trace_id == identity.trace_id.to_bytes(16)  # type: ignore[union-attr]
        assert span.start_time_unix_nano == identity.epoch + lifetime.created  # type: ignore[union-attr]
        assert span.end_time_unix_nano == identity.epoch + lifetime.ended  # type: ignore[union-attr]
        found = {attribute.key: value_of(attribute.value) for attribute in span.attributes}
        assert found["whence.async_id"] == lifetime.async_id
        assert found["whence.trigger_id"] == lifetime.trigger_async_id
        assert found["whence.execution_id"] == lifetime.execution_async_id
        assert found["whence.steps"] == lifetime.steps
        assert found["whence.run_time"] == lifetime.run / 1e9
        assert found["whence.ready_time"] == lifetime.ready / 1e9
        assert found["whence.wait_time"] == lifetime.wait / 1e9
        own = {key: value for key, value in found.items() if key.startswith(OWN)}
        given = lifetime.attributes or {}
        assert own.keys() == given.keys()
        assert all(same(own[key], given[key]) for key in given)


def test_numbers_are_as_short_as_they_can_be(lives: Lives) -> None:
    encoder = PackingEncoder(SpanMaker(settings()), MOST)
    for _ in range(3):
        lives.live(2, "main")
    ((_, run),) = encoder.runs(lives.come_out())
    data = bytes(run)
    spans = parsed(data)
    assert len(data) == sum(1 + len(_varint(span.ByteSize())) + span.ByteSize() for span in spans)


def _varint(number: int) -> bytes:
    size = max(1, -(-number.bit_length() // 7))
    return bytes(size)


def test_the_ids_are_those_that_python_works_out(lives: Lives) -> None:
    maker = SpanMaker(settings())
    encoder = PackingEncoder(maker, MOST)
    main = lives.begin("main")
    child = lives.live(2, "child", main)
    lives.end(main)
    batch = lives.come_out()
    child.span = Span(child.span.trace, 2**47 + 1025, 70_000, main.span)  # type: ignore[union-attr]
    for _ in range(3):
        ((_, run),) = encoder.runs(batch)
        one, other = parsed(run)
        ids = maker.identities.ids
        assert one.span_id == ids.of(2**47 + 1025, 70_000).to_bytes(8)
        assert one.parent_span_id == other.span_id == ids.of(main.async_id, 0).to_bytes(8)


# Runs


@pytest.fixture
def encoder(lives: Lives) -> PackingEncoder:
    return PackingEncoder(SpanMaker(settings()), MOST)


def batch_of(lives: Lives, number: int = 3) -> list[SpanLifetime]:
    for _ in range(number):
        lives.live(2, "main")
    return lives.come_out()


def test_a_run_is_bytes_to_whoever_asks_for_them(lives: Lives, encoder: PackingEncoder) -> None:
    _, number, run = encoder.packer.run(batch_of(lives), 0)
    assert number == 3
    data = bytes(run)
    assert len(run) == len(data) > 0
    assert memoryview(run) == data
    assert b"".join([b"", run]) == data
    assert memoryview(run).readonly


def test_a_run_that_is_over_says_so(lives: Lives, encoder: PackingEncoder) -> None:
    batch = batch_of(lives)
    over, written = encoder.packer.run(batch, 0)[2], encoder.packer.run(batch, 0)[2]
    view = memoryview(written)
    before = bytes(view)
    encoder.packer.run(batch[:1], 0)
    with pytest.raises(BufferError, match="this run is over"):
        bytes(over)
    # It was good until then, and is no other's memory.
    assert len(view) == len(before)
    del encoder, written
    gc.collect()
    assert len(bytes(view)) == len(before)


def test_a_run_ends_where_the_batch_does(lives: Lives, encoder: PackingEncoder) -> None:
    batch = batch_of(lives)
    for at in (3, 4, 2**40):
        end, number, run = encoder.packer.run(batch, at)
        assert (end, number, bytes(run)) == (at, 0, b"")
    with pytest.raises(RuntimeError):
        encoder.packer.run(batch, -1)


# Wrong use


class Owner:
    """Answers as it is told to."""

    identity_of = template_of = by_itself = staticmethod(lambda _: None)


def packer_of(owner: object, most: int = MOST) -> Any:
    return Packer(
        owner=owner,
        seed=1,
        most=most,
        private_keys=frozenset(),
        trigger=b"",
        segment=b"",
    )


def identified(lives: Lives) -> list[SpanLifetime]:
    batch = batch_of(lives)
    for lifetime in batch:
        lifetime.span.trace.identify(  # type: ignore[union-attr]
            TraceIdentity(5, None, None, sampled=True)
        )
    return batch


@pytest.mark.parametrize("answer", [None, 7, "identity", b""])
def test_an_identity_that_is_none_is_refused(lives: Lives, answer: Any) -> None:
    owner = Owner()
    owner.identity_of = lambda _: answer  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match="expected a TraceIdentity"):
        packer_of(owner).run(batch_of(lives), 0)


@pytest.mark.parametrize("answer", [None, 7, "text", bytearray(b"x")])
def test_a_span_that_is_no_bytes_is_refused(lives: Lives, answer: Any) -> None:
    owner = Owner()
    owner.by_itself = lambda _: answer  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match="expected bytes"):
        packer_of(owner).run(identified(lives), 0)


INT = b"\x4a\x09\x0a\x03key\x12\x01\x18"
"""An attribute whose value has no bytes yet."""


@pytest.mark.parametrize(
    "description",
    [
        7,
        (b"", (), ()),
        (b"", (7,), frozenset()),
        (b"", ((b"",),), frozenset()),
        (b"", (("", b"", 0),), frozenset()),
        (b"", ((b"", b"", 0),), frozenset()),
        (b"", ((b"", INT, -1),), frozenset()),
        (b"", ((b"", INT, len(ROOMS)),), frozenset()),
        (b"", ((b"", b"\x4a\x7f" + INT[2:], 0),), frozenset()),
        (b"", ((b"", INT[:-2] + b"\x7f\x18", 0),), frozenset()),
        (b"", ((b"", INT, 0),) * (len(ROOMS) + 1), frozenset()),
    ],
)
def test_a_template_that_makes_no_sense_is_refused(lives: Lives, description: Any) -> None:
    owner = Owner()
    owner.by_itself = lambda _: b"x"  # type: ignore[method-assign,assignment]
    owner.template_of = lambda _: description  # type: ignore[method-assign,assignment]
    packer = packer_of(owner)
    batch = identified(lives)
    with pytest.raises((TypeError, ValueError)):
        packer.run(batch, 0)
    # It is not tried again.
    assert bytes(packer.run(batch, 0)[2]) == b"xxx"


@pytest.mark.parametrize("what", ["identity_of", "template_of", "by_itself"])
def test_who_raises_ends_the_run_and_no_other(lives: Lives, what: str) -> None:
    maker = SpanMaker(settings())
    encoder = PackingEncoder(maker, MOST)
    setattr(encoder, what, lambda _: 1 / 0)
    batch = batch_of(lives, 1) if what == "by_itself" else batch_of(lives)
    if what == "identity_of":
        encoder.packer.keep_all(None, None)
    with pytest.raises(ZeroDivisionError):
        encoder.packer.run(batch, 0)
    delattr(encoder, what)
    _, number, run = encoder.packer.run(batch, 0)
    assert number == len(parsed(run)) == len(batch)


def test_a_packer_does_not_pack_while_it_packs(lives: Lives) -> None:
    raised: list[str] = []

    def again(_: object) -> bytes:
        for call in (lambda: packer.run([], 0), lambda: packer.limit(-1, -1, False)):
            with pytest.raises(RuntimeError) as caught:
                call()
            raised.append(str(caught.value))
        return b"x"

    owner = Owner()
    owner.by_itself = again  # type: ignore[method-assign,assignment]
    packer = packer_of(owner)
    assert bytes(packer.run(identified(lives)[:1], 0)[2]) == b"x"
    assert len(raised) == 2


@pytest.mark.parametrize("ids", [None, b"", bytes(15), bytearray(16), "x" * 16])
def test_trace_ids_that_are_none_are_refused(lives: Lives, ids: Any) -> None:
    packer = packer_of(Owner())
    packer.keep_all("flags", lambda: ids)
    with pytest.raises(TypeError, match="expected the bytes of trace ids"):
        packer.run(batch_of(lives), 0)


def test_each_trace_has_an_id_of_its_own(lives: Lives) -> None:
    owner = Owner()
    owner.by_itself = lambda _: b"x"  # type: ignore[method-assign,assignment]
    packer = packer_of(owner)
    given: Iterator[bytes] = iter([bytes([n]) * 16 + bytes([n + 1]) * 17 for n in (1, 3)])
    packer.keep_all("flags", lambda: next(given))
    batch = batch_of(lives, 4)
    packer.run(batch, 0)
    traces = [lifetime.span.trace.identity.trace_id for lifetime in batch]  # type: ignore[union-attr]
    assert traces == [int.from_bytes(bytes([n]) * 16) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda packer, batch: packer.run(tuple(batch), 0),
        lambda packer, batch: packer.run([object()], 0),
        lambda packer, batch: packer.run(batch),
        lambda packer, batch: packer.run([SpanLifetime()], 0),
        lambda packer, batch: packer.limit("x", 1, True),
        lambda packer, batch: packer_of(Owner(), most=0),
        lambda packer, batch: packer_of(Owner(), most=-1),
        lambda packer, batch: Packer(),
        lambda packer, batch: type(packer.run(batch, 3)[2])(),
    ],
)
def test_what_makes_no_sense_is_refused(lives: Lives, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        wrong(packer_of(Owner()), identified(lives))


# Memory


def test_nothing_is_kept_of_what_was_packed(lives: Lives, encoder: PackingEncoder) -> None:
    class Name(str):
        __slots__ = ()

    flags = object()
    encoder.packer.keep_all(flags, lambda: bytes(16 * 100))

    def pack() -> None:
        main = lives.begin("main")
        for number in range(50):
            child = lives.live(2, "child", main)
            child.attributes = {"number": number, "text": "é" * number}
            if number % 10 == 0:
                child.attributes["list"] = [1, 2]
            child.link = Span(Trace(None), 1, 0, None)
        lives.end(main)
        for _, run in encoder.runs(lives.come_out()):
            bytes(run)

    for _ in range(3):
        pack()
    watched = (flags, TASK, encoder, twin, "child")
    gc.collect()
    before = [sys.getrefcount(one) for one in watched], len(gc.get_objects())
    for _ in range(20):
        pack()
    gc.collect()
    after = [sys.getrefcount(one) for one in watched], len(gc.get_objects())
    assert after[0] == before[0]
    assert abs(after[1] - before[1]) < 50
