"""Lifetimes made through the engine, on a clock that only the test moves."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clocks import patch_clock
from whence.engine import (
    DONE,
    FAILED,
    Lifetime,
    SpanLifetime,
    Tracer,
    create,
    end,
    enter,
    failed,
    leave,
    local,
    open_lifetimes,
    recorder,
    ring,
)
from whence.engine.resource_types import TASK, ResourceType
from whence.engine.ring import NEVER

MS = 1_000_000
"""Nanoseconds."""


class Resource:
    """What a lifetime is of."""


class Lives:
    """Begins, runs and ends lifetimes; `tracer` places what has ended."""

    def __init__(self) -> None:
        self.now = 1_000_000 * MS
        self.tracer = Tracer()

    def clock(self) -> int:
        return self.now

    def wait(self, ms: float) -> None:
        self.now += int(ms * MS)

    def begin(
        self,
        name: str | None = None,
        by: Lifetime | None = None,
        row: ResourceType = TASK,
        depth: int = 2,
    ) -> SpanLifetime:
        """A resource, triggered by another one or by the top level.

        Its creation site is the line that called this, `depth` frames up."""
        lifetime = self.record(by, row, depth + 1)
        assert isinstance(lifetime, SpanLifetime)
        lifetime.name = name
        return lifetime

    def record(self, by: Lifetime | None, row: ResourceType, depth: int = 2) -> Lifetime:
        """A resource of any type, also of one that becomes no span."""
        state = local.state
        return create(state, row, Resource(), by or state.current, depth)

    @contextmanager
    def running(self, lifetime: Lifetime) -> Iterator[None]:
        """A step of it."""
        state = local.state
        previous = state.current
        enter(state, lifetime, Resource())
        yield
        leave(state, lifetime, previous)

    def end(self, lifetime: Lifetime, outcome: str = DONE, after: float = 0) -> None:
        """The end of a resource, `after` milliseconds."""
        self.wait(after)
        end(local.state, lifetime, outcome)

    def fail(self, lifetime: Lifetime, error: BaseException, after: float = 0) -> None:
        failed(lifetime, error)
        self.end(lifetime, FAILED, after)

    def live(
        self,
        ms: float,
        name: str | None = None,
        by: Lifetime | None = None,
        row: ResourceType = TASK,
        outcome: str = DONE,
    ) -> SpanLifetime:
        """A whole life."""
        lifetime = self.begin(name, by, row, depth=3)
        self.end(lifetime, outcome, after=ms)
        return lifetime

    def come_out(self) -> list[SpanLifetime]:
        """What the sender thread would get to export now, placed."""
        return [lifetime for lifetime in ring.drain(sys.maxsize) if self.tracer.place(lifetime)]

    def cut(self, lifetime: SpanLifetime) -> SpanLifetime:
        """The record of a segment that ends now."""
        return self.tracer.cut(lifetime, self.now)


@contextmanager
def lives_on_a_clock_of_their_own(patch: pytest.MonkeyPatch) -> Iterator[Lives]:
    """The agent records, sends and keeps from 1 ms on, and nothing but the test moves the clock."""
    made = Lives()
    patch_clock(patch, made.clock)
    before = {name: getattr(recorder, name) for name in recorder.__slots__}
    ring.clear()
    open_lifetimes.clear()
    recorder.on = recorder.sends = recorder.sites = recorder.messages = True
    recorder.min_duration = MS
    ring.wake_at = NEVER
    try:
        yield made
    finally:
        for name, value in before.items():
            setattr(recorder, name, value)
        ring.clear()
        open_lifetimes.clear()
