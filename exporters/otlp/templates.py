"""The spans of a batch in protobuf: most of them in one `struct.pack` each.

Spans of the same name, site and outcome differ in ids, times and counts, and in nothing else.  A
template holds the bytes of one, in chunks, and between them there is room for what differs.

- A template is made of what `SpanMaker` and `SpanEncoder` say of a span, the second time that its
  like is met.  So it says exactly what they say.
- What is a varint in protobuf has here the width of the largest that fits (`overlong.py`).
- Attributes of its own and links are appended: in protobuf the order of fields is free.
- What does not fit goes the long way: failures, events, segments, parents of the application's,
  numbers that are too large.
- What cannot be encoded at all is left out: one span, never the batch.
"""

import struct
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from whence.engine import Span as Place
from whence.engine import SpanLifetime, Trace, TraceIdentity

from ..identity import ID_LOW_BITS, ID_LOW_MASK, SEGMENT_SHIFT
from ..kinds import KIND, kind_of
from ..spans import PRIVATE, Span, SpanMaker
from . import protobuf_wire as wire
from .fields import flags
from .overlong import HIGH, LAST, LOW, LOW_BITS, LOW_MASK, three_bytes
from .protobuf import KINDS, NO_STATUS, Run, SpanEncoder

_MAX_TEMPLATES = 2000
_SLACK = 1 << 16
"""Bytes of the buffer beyond a run, for the span that ends it."""
_SECOND = 1e9


def before(key: str, tag: bytes, width: int) -> bytes:
    """What stands before the value of an attribute, which has `width` bytes behind its tag."""
    inner = wire.text(wire.KEY, key) + wire.VALUE + wire.varint(len(tag) + width) + tag
    return wire.ATTRIBUTE + wire.varint(len(inner) + width) + inner


_IDS = ("whence.async_id", "whence.trigger_id", "whence.execution_id")
_TIMES = ("whence.run_time", "whence.ready_time", "whence.wait_time")
_ROOM = {
    **{key: ("HI", before(key, wire.INT_VALUE, 6)) for key in _IDS},
    **{key: ("d", before(key, wire.DOUBLE_VALUE, 8)) for key in _TIMES},
    "whence.steps": ("H", before("whence.steps", wire.INT_VALUE, 2)),
}
"""Attribute that differs from span to span -> its room, and what stands before that."""
DIFFERING = list(_ROOM)
"""In which `SpanMaker` gives them, and `TemplateEncoder._pack` fills them in."""


class _DoesNotFit(Exception):
    """It goes the long way."""


_ON_THE_LONG_WAY = (_DoesNotFit, OverflowError, IndexError, struct.error)


class _Template:
    """What all spans of a kind have in common."""

    __slots__ = ("chunks", "code", "keys", "length", "pack_into", "size")

    def __init__(self, span: Span, encoder: SpanEncoder, code: CodeType | None) -> None:
        """`span` is one of them, without what is appended.  _DoesNotFit if none can be made."""
        self.keys = frozenset(span.attributes)
        if span.dropped_attributes or [key for key in span.attributes if key in _ROOM] != DIFFERING:
            raise _DoesNotFit("a limit has taken what differs")
        self.code = code
        """Kept: another's would be taken for it if that were given its id."""
        layout = _Layout(_start(0))
        layout.room("16s", wire.SPAN_ID)
        if span.parent is None:
            layout.room("Q", b"")
            layout.room("0s", b"")
        else:
            layout.room("Q", wire.PARENT_ID)
            layout.room("Q", b"")
        layout.add(encoder.name(span.name) + wire.KIND + KINDS[span.kind] + wire.START)
        layout.room("Q", wire.END)
        layout.room("Q", b"")
        for key, value in span.attributes.items():
            if key in _ROOM:
                what, before = _ROOM[key]
                layout.add(before)
                layout.room(what, b"")
            else:
                layout.add(encoder.attributes.one(key, value))
        layout.add(NO_STATUS + wire.FLAGS + wire.pack_fixed32(flags(span.parent)))
        made = struct.Struct(layout.format)
        self.pack_into, self.length = made.pack_into, made.size
        self.size = made.size - _BEFORE_SIZE
        """Of the message, without its tag and length."""
        self.chunks = [_start(self.size), *layout.chunks[1:], layout.chunk]


class _Layout:
    """Chunks of bytes and the room between them, as they come."""

    def __init__(self, chunk: bytes) -> None:
        self.chunk = chunk
        self.chunks: list[bytes] = []
        self._format = "<"

    def add(self, more: bytes) -> None:
        """More of the present chunk."""
        self.chunk += more

    def room(self, what: str, then: bytes) -> None:
        """Room in the terms of `struct`, and what comes then."""
        self._format += f"{len(self.chunk)}s{what}"
        self.chunks.append(self.chunk)
        self.chunk = then

    @property
    def format(self) -> str:
        """All of it, in the terms of `struct`."""
        return f"{self._format}{len(self.chunk)}s"


def _start(size: int) -> bytes:
    """The first chunk of a span of so many bytes.  IndexError if they are 2 MiB or more."""
    return wire.SPAN + three_bytes(size) + wire.TRACE_ID


_BEFORE_SIZE = len(_start(0)) - len(wire.TRACE_ID)


class TemplateEncoder:
    """Encodes batches, into a buffer that is used again and again."""

    def __init__(self, maker: SpanMaker, most: int) -> None:
        """The span that makes it `most` bytes, or more, ends a run."""
        self._maker = maker
        self._most = most
        self._buffer = bytearray(most + _SLACK)
        self._view = memoryview(self._buffer)
        self._encoder = SpanEncoder()
        self._id_low, self._id_high = maker.identities.ids.low, maker.identities.ids.high
        self._parent: tuple[int, int] | None = None
        self._parent_id = 0
        self._templates: dict[tuple[Any, ...], _Template | None] = {}
        self._limits = maker.limits
        self.unsampled = 0
        """How many of the present batch are not sampled, as far as it has been encoded."""

    def runs(self, batch: Sequence[SpanLifetime]) -> Iterator[Run]:
        """Those that are sampled.  A run is good until the next is asked for."""
        self._begin()
        pack, buffer, most = self._pack, self._buffer, self._most
        number = end = 0
        trace: Trace | None = None
        for lifetime in batch:
            place = lifetime.span
            assert place is not None, "a lifetime comes out of the pipeline with its place"
            if place.trace is not trace:
                trace = place.trace
                identity = self._maker.identity_of(trace)
                trace_id = identity.trace_id.to_bytes(16)
            if not identity.sampled:
                self.unsampled += 1
                continue
            try:
                end = pack(lifetime, place, identity, trace_id, end)
            except _ON_THE_LONG_WAY:
                encoded = self.by_itself(lifetime)
                if end + len(encoded) > len(buffer):
                    yield number, self._view[:end]
                    number = end = 0
                if len(encoded) > len(buffer):
                    yield 1, encoded
                    continue
                if not encoded:
                    continue
                start, end = end, end + len(encoded)
                buffer[start:end] = encoded
            number += 1
            if end >= most:
                yield number, self._view[:end]
                number = end = 0
        if number:
            yield number, self._view[:end]

    def _begin(self) -> None:
        self._maker.refresh()
        if self._maker.limits is not self._limits:
            self._limits = self._maker.limits
            self._templates.clear()
        self.unsampled = 0

    def by_itself(self, lifetime: SpanLifetime) -> bytes:
        """A span the long way; nothing if there is no way."""
        try:
            return self._encoder.span(self._maker.span(lifetime))
        except Exception:
            return b""

    def _pack(
        self,
        lifetime: SpanLifetime,
        place: Place,
        identity: TraceIdentity,
        trace_id: bytes,
        at: int,
    ) -> int:
        """Put a span into the buffer, and give its end.  Raises one of _ON_THE_LONG_WAY."""
        code, attributes, parent = lifetime.code, lifetime.attributes, place.parent
        key = (
            lifetime.type,
            lifetime.name,
            id(code),
            lifetime.lasti,
            lifetime.outcome,
            lifetime.thread_id,
            lifetime.fire_and_forget,
            place.consumer,
            parent is None,
            attributes.get(KIND) if attributes else None,
        )
        template = self._templates.get(key) or self._template(key, lifetime)
        created, ended = lifetime.created, lifetime.ended
        run, ready = lifetime.run, lifetime.ready
        wait = ended - created - run - ready
        if (
            lifetime.error is not None
            or lifetime.events
            or lifetime.segments is not None
            or lifetime.links is not None
            or place.counted is not None
            or place.above is not None
            or identity.state
            or wait < 0
            or run < 0
            or ready < 0
        ):
            raise _DoesNotFit
        c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13 = template.chunks
        id_low, id_high = self._id_low, self._id_high
        parent_id: bytes | int = b""
        if parent is not None:
            # Siblings come together.
            if parent == self._parent:
                parent_id = self._parent_id
            else:
                which = parent[1] << SEGMENT_SHIFT | parent[0]
                parent_id = id_low[which & ID_LOW_MASK] ^ id_high[which >> ID_LOW_BITS] or 1
                self._parent, self._parent_id = parent, parent_id
        elif identity.attributes or identity.remote_parent is not None:
            raise _DoesNotFit
        more = b""
        if attributes or lifetime.link is not None:
            more = self._more(lifetime, template)
            c1 = _start(template.size + len(more))
        async_id, trigger_id = lifetime.async_id, lifetime.trigger_async_id
        execution_id = lifetime.execution_async_id
        trigger_low, trigger_high = LOW[trigger_id & LOW_MASK], HIGH[trigger_id >> LOW_BITS]
        if execution_id == trigger_id:
            execution_low, execution_high = trigger_low, trigger_high
        else:
            execution_low = LOW[execution_id & LOW_MASK]
            execution_high = HIGH[execution_id >> LOW_BITS]
        which = place.segment << SEGMENT_SHIFT | place.async_id
        template.pack_into(
            self._buffer,
            at,
            c1,
            trace_id,
            c2,
            id_low[which & ID_LOW_MASK] ^ id_high[which >> ID_LOW_BITS] or 1,
            c3,
            parent_id,
            c4,
            identity.epoch + created,
            c5,
            identity.epoch + ended,
            c6,
            LOW[async_id & LOW_MASK],
            HIGH[async_id >> LOW_BITS],
            c7,
            trigger_low,
            trigger_high,
            c8,
            execution_low,
            execution_high,
            c9,
            run / _SECOND,
            c10,
            ready / _SECOND,
            c11,
            wait / _SECOND,
            c12,
            LAST[lifetime.steps],
            c13,
        )
        end = at + template.length
        if more:
            at, end = end, end + len(more)
            if end > len(self._buffer):
                raise _DoesNotFit
            self._buffer[at:end] = more
        return end

    def _template(self, key: tuple[Any, ...], lifetime: SpanLifetime) -> _Template:
        """Make the template of all that are like this one."""
        if key not in self._templates:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[key] = None
            raise _DoesNotFit("met for the first time")
        specimen = lifetime.copy()
        specimen.attributes = {KIND: kind_of(lifetime).name.lower()}
        specimen.link = None
        made = _Template(self._maker.span(specimen), self._encoder, lifetime.code)
        self._templates[key] = made
        return made

    def _more(self, lifetime: SpanLifetime, template: _Template) -> bytes:
        """What is appended to a span."""
        encoder = self._encoder
        parts = []
        attributes = lifetime.attributes or {}
        if attributes and self._limit(len(template.keys) + len(attributes)):
            raise _DoesNotFit("a limit")
        for key, value in attributes.items():
            if key in template.keys:
                raise _DoesNotFit("an attribute that stands in the template")
            if key not in PRIVATE:
                parts.append(encoder.attributes.one(key, value))
        parts += [encoder.link(*link) for link in self._maker.links(lifetime)]
        return b"".join(parts)

    def _limit(self, number: int) -> bool:
        """Whether a limit may have something to say on so many attributes."""
        most, longest = self._limits.max_span_attributes, self._limits.max_span_attribute_length
        return longest is not None or (most is not None and number > most)
