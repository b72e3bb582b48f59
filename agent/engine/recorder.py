"""The built-in hook, first in the order: it turns events into Lifetimes.

It accumulates; it does not write events down.  A lifetime's time is split three ways: *run*, inside
before/after; *ready*, scheduled and waiting for its turn on the loop (a job: for a worker thread);
*wait*, everything else.
"""

from sys import _getframe
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from . import twin
from .execution import ThreadState, new_async_id
from .histograms import LONG
from .lifetimes import DONE, DROPPED, KEPT, Lifetime, RecordedLifetime, SpanLifetime
from .parents import adopt, forget_family, keep_family
from .resource_types import ResourceType, known_types
from .ring import ring
from .sites import PLUMBING, PROGRAM, outside
from .sites import known as known_files

MAX_MESSAGE = 1000

clock = monotonic_ns


def clock_source() -> str:
    """Which clock is read: "system", or "tsc", the processor's own.

    The engine in C reads that where it may be trusted, and keeps it to the system's."""
    return "system"


open_lifetimes: dict[int, RecordedLifetime] = {}
"""Every recorded lifetime that is open, by id, oldest first."""


class Recorder:
    """Whether the agent records, and how."""

    __slots__ = (
        "lifetime",
        "messages",
        "min_duration",
        "notable",
        "on",
        "sends",
        "sites",
        "slow",
    )

    def __init__(self) -> None:
        self.on = False
        self.lifetime: type[SpanLifetime] = SpanLifetime
        """What is made for what may become a span."""
        self.min_duration = 1_000_000
        """Nanoseconds that make a lifetime worth a span; a failed one always is."""
        self.sites = True
        self.sends = True
        """Whether finished spans go to the ring: not if nobody drains it."""
        self.messages = True
        self.find_slow(100_000_000)

    def find_slow(self, slow: int) -> None:
        """Say from how many nanoseconds on a callback or step blocks its loop."""
        self.slow = slow
        self.notable = min(slow, LONG)
        """Nanoseconds beyond which there is more to do at the end of a step."""


recorder = Recorder()


def begin(row: ResourceType, trigger: Lifetime, state: ThreadState, depth: int) -> RecordedLifetime:
    """A resource was created, `depth` frames up or further: its record."""
    lifetime: RecordedLifetime
    if row.spans:
        lifetime = span = recorder.lifetime()
        span.transparent = span.keep = False
        span.execution_async_id = state.current.async_id
        span.thread_id = state.thread_id
        span.children = span.ended = 0
        span.name = span.attributes = span.events = None
        span.segments = span.span = span.fate = None
    else:
        span = None
        lifetime = RecordedLifetime()
        lifetime.transparent = True
        lifetime.parent = trigger.parent if trigger.transparent else trigger  # type: ignore[assignment]
    lifetime.async_id = async_id = new_async_id()
    lifetime.type = row
    lifetime.trigger_async_id = trigger.async_id
    lifetime.open = True
    lifetime.created = lifetime.scheduled = clock()
    lifetime.run = lifetime.ready = lifetime.steps = 0
    lifetime.cause = trigger.own_cause or trigger.as_cause()
    lifetime.own_cause = lifetime.error = None
    if recorder.sites:
        try:
            frame: Any = _getframe(depth)
        except ValueError:
            # The outermost function of a thread, say, is a method of the loop.
            frame = _getframe(1)
        code = frame.f_code
        whose = known_files.get(code.co_filename)
        if whose is PLUMBING and frame.f_back is not None:
            # Mostly it is the next one: `call_later` above `call_at`.
            frame = frame.f_back
            code = frame.f_code
            whose = known_files.get(code.co_filename)
        if whose is PROGRAM:
            lifetime.code, lifetime.lasti = code, frame.f_lasti
        else:
            lifetime.code, lifetime.lasti = outside(frame)
            if lifetime.code is None and isinstance(trigger, RecordedLifetime):
                lifetime.code, lifetime.lasti = trigger.code, trigger.lasti
    else:
        lifetime.code, lifetime.lasti = None, 0
    if span is not None:
        adopt(span, trigger, state.current)
    row.created += 1
    open_lifetimes[async_id] = lifetime
    return lifetime


def is_listed(lifetime: Lifetime) -> bool:
    """Whether it is among the open lifetimes."""
    return lifetime.async_id in open_lifetimes


def describe(lifetime: Lifetime, name: str | None, **attributes: Any) -> None:
    """Add the name and attributes that its span will carry."""
    if isinstance(lifetime, SpanLifetime):
        lifetime.name = name
        if attributes:
            lifetime.attributes = {**(lifetime.attributes or {}), **attributes}


def hide(lifetime: Lifetime) -> None:
    """Make a lifetime transparent: asyncio made it for itself."""
    if isinstance(lifetime, SpanLifetime) and not lifetime.transparent:
        lifetime.transparent = True
        if lifetime.parent is not None:
            lifetime.parent.children -= 1
        elif isinstance(lifetime.link, SpanLifetime):
            lifetime.parent, lifetime.link = lifetime.link, None


def conclude(lifetime: Lifetime) -> None:
    """Its time is over, though its callback has still to return: others learn now that it is done.

    A job that sets its result wakes the loop, which may be done with all that waited for it before
    the job's own thread runs again."""
    if isinstance(lifetime, SpanLifetime) and not lifetime.ended and not lifetime.transparent:
        now = clock()
        lifetime.run += now - lifetime.entered
        lifetime.steps += 1
        lifetime.entered = 0
        _end_for_parent(lifetime, now)


def end_span(lifetime: Lifetime) -> None:
    """End the span of a lifetime here; its resource lives on, without one.

    What it triggers from now on is triggered by the span, as before."""
    if isinstance(lifetime, SpanLifetime) and not lifetime.transparent:
        record = lifetime.copy()
        record.open = False
        finish_span(record, DONE, clock())
        lifetime.transparent = True
        lifetime.parent, lifetime.link = record, None


def finish(lifetime: RecordedLifetime, outcome: str, now: int) -> None:
    """A resource was destroyed: keep its record for the exporters, or drop it."""
    if getattr(lifetime, "resource", None) is not None and lifetime.entered:
        # It ends inside its own callback, which goes on when the record has gone.
        lifetime.run += now - lifetime.entered
        lifetime.steps += 1
        lifetime.entered = 0
    finish_outside(lifetime, outcome, now)


def finish_outside(lifetime: RecordedLifetime, outcome: str, now: int) -> None:
    """The same of a resource that is certainly not inside a callback of its own."""
    if open_lifetimes.pop(lifetime.async_id, None) is None:
        return
    row = lifetime.type
    row.destroyed += 1
    if outcome is not DONE:
        row.otherwise[outcome] = row.otherwise.get(outcome, 0) + 1
    if not lifetime.transparent:
        finish_span(lifetime, outcome, now)  # type: ignore[arg-type]


def finish_span(span: SpanLifetime, outcome: str, now: int) -> None:
    """Its span is over: keep it for the exporters if it is worth it."""
    if not span.ended:
        _end_for_parent(span, now)
    span.outcome = outcome
    span.fire_and_forget = span.children > 0
    if span.ended - span.created >= recorder.min_duration or span.keep or span.error is not None:
        span.fate = KEPT
        if recorder.sends:
            keep_family(span)
            if ring.push(span):
                return
    span.fate = DROPPED
    forget_family(span)


def _end_for_parent(span: SpanLifetime, now: int) -> None:
    span.ended = now
    if span.parent is not None:
        span.parent.children -= 1


def failed(lifetime: Lifetime, error: BaseException) -> None:
    """Note why it fails; formatted at once, for a kept exception keeps frames alive."""
    if not isinstance(lifetime, RecordedLifetime):
        return
    message = ""
    if recorder.messages:
        try:
            message = str(error)[:MAX_MESSAGE]
        except Exception as unprintable:
            message = f"<unprintable: {type(unprintable).__name__}>"
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    lifetime.error = (name, message)


def restart_in_child() -> None:
    """After a fork: what was open is the parent's to report."""
    open_lifetimes.clear()
    ring.clear()
    for row in known_types():
        row.restart()


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import (
        Recorder,
        begin,
        clock,
        clock_source,
        conclude,
        finish,
        finish_outside,
        finish_span,
        hide,
        is_listed,
        open_lifetimes,
        recorder,
    )

    twin.tell(failed=failed)
