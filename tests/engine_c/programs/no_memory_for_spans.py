"""Has each allocation on the way of spans from the ring to their bytes fail once, and goes on.

Prints, for each part of the way, how often memory has run out and was told so, and how often it has
gone well all the same.

Nothing of Python's is made meanwhile, and nothing in Python called: to make a function, or a frame,
without memory is what some Pythons do not survive.
"""

import _testcapi  # type: ignore[import-not-found]
from collections.abc import Callable
from operator import not_
from typing import Any

from whence.engine import (
    Ring,
    Span,
    SpanLifetime,
    Trace,
    TraceIdentity,
    create,
    end,
    local,
    recorder,
    ring,
)
from whence.engine.packing import ROOMS, Packer
from whence.engine.placing import place_each
from whence.engine.resource_types import TASK

INT = b"\x4a\x09\x0a\x03key\x12\x01\x18"
TEMPLATE = (b"head", ((b"", INT, 0), (b"tail", b"", len(ROOMS) - 1)), frozenset(("key",)))

recorder.on, recorder.min_duration = True, 0
state = local.state
some = [SpanLifetime() for _ in range(1100)]


def tree() -> list[SpanLifetime]:
    """Three spans, as they come out of the ring; those below have a link."""
    ring.clear()
    top = create(state, TASK, None, state.current, 1)
    for _ in range(2):
        child: Any = create(state, TASK, None, top, 1)
        child.name, child.attributes = "child", {"text": "é" * 50, "number": 7}
        child.link = Span(Trace(None), 1, 0, None)
        end(state, child)
    end(state, top)
    return ring.drain(10)


def push() -> None:
    own = Ring()
    for lifetime in some:
        own.push(lifetime)
    assert len(own) + own.dropped == len(some)
    taken = len(own)
    assert len(own.drain(2000)) == taken


def unlinked() -> list[SpanLifetime]:
    batch = tree()
    for lifetime in batch:
        lifetime.link = None
    return batch


def place(batch: list[SpanLifetime]) -> None:
    if len(place_each(batch, 2000, not_)) < 3:
        raise MemoryError  # Python was asked


class Owner:
    """Answers without a function of Python's."""

    def __init__(self, batch: list[SpanLifetime]) -> None:
        self.by_itself = dict.fromkeys(batch, b"by itself").get
        self.template_of = dict.fromkeys(batch, TEMPLATE).get
        traces = [lifetime.link.trace for lifetime in batch if isinstance(lifetime.link, Span)]
        traces += [lifetime.span.trace for lifetime in batch if lifetime.span is not None]
        self.identity_of = {
            trace: TraceIdentity(7, None, None, sampled=True) for trace in traces
        }.get


def placed() -> tuple[Any, list[SpanLifetime]]:
    batch = tree()
    for lifetime in batch:
        lifetime.link, link = None, lifetime.link
        assert place_each([lifetime], 2000, bool) == [lifetime]
        lifetime.link = link
    return Owner(batch), batch


def pack(made: tuple[Any, list[SpanLifetime]]) -> None:
    owner, batch = made
    packer = Packer(owner, 1, 1 << 16, NO_KEYS, b"", b"")
    packer.keep_all("flags", IDS)
    packer.run(batch, 0)
    packer.run(batch, 0)
    bytes(packer.run(batch, 0)[2])
    packer.limit(-1, -1, False)
    packer.run(batch, 0)


NO_KEYS: frozenset[str] = frozenset()
IDS = (b"7" * 16 * 100).upper


def until_it_works(part: Callable[..., None], *makes: Callable[[], object]) -> None:
    """Fail the first allocation, then the second, ... until there are no more."""
    out = on = in_a_row = 0
    nth = 0
    while in_a_row < 30:
        made = [make() for make in makes]
        _testcapi.set_nomemory(nth, nth + 1)
        try:
            part(*made)
            on, in_a_row = on + 1, in_a_row + 1
        except MemoryError:
            out, in_a_row = out + 1, 0
        finally:
            _testcapi.remove_mem_hooks()
        nth += 1
    print(out, on)


if __name__ == "__main__":
    parts: list[Any] = [(push,), (place, unlinked), (pack, placed)]
    for part, *makes in parts:
        part(*(make() for make in makes))
        until_it_works(part, *makes)
