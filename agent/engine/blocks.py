"""Steps that held their loop for too long: whose they were, where they were, and who was late.

A callback, or the step of a task, that takes longer than `recorder.slow` *blocks* its loop.  That
is an event, `whence.blocked`, of the lifetime that ran.

The rules:

- Each nanosecond is blamed once, on the innermost: a request inside the step of its connection's
  task takes the blame, and the task only for what is left of the step, if that is too long.
- What becomes no span has its nearest open ancestor carry the event; with none, this one step
  becomes a span of its own.  What carries it is exported, however short it was.
- The stack is one that the watchdog took while the step ran.  A step that never let it has none.
- Time in which the process stood still, or a debugger had stopped the program, is nobody's.

All of this runs in the thread of the loop, once the step is over; but for what the watchdog adds to
`ThreadState.samples`.
"""

from typing import Any, NamedTuple

from . import twin
from .delays import delayed_by
from .execution import ThreadState
from .giving_way import come_back
from .histograms import LONG
from .lifetimes import DONE, RecordedLifetime, SpanLifetime
from .measures import blocked
from .parents import adopt
from .recorder import finish_span, recorder
from .selected import is_left_out
from .sites import Site, site
from .stacks import Blamed, Sample, Stack
from .standstill import standstill

EVENT = "whence.blocked"
MAX_EVENTS = 64
"""Of a lifetime; more are only counted."""
MAX_PLACES = 256
"""Places of which it is counted how often they blocked."""


class Block(NamedTuple):
    """One step that blocked: how long, what ran and where it was."""

    nanoseconds: int
    type: str
    name: str | None
    site: Site | None


class Blocks:
    """What is remembered of all of them: the worst, and the sums by place."""

    __slots__ = ("places", "worst")

    def __init__(self) -> None:
        self.worst: Block | None = None
        self.places: dict[tuple[str, str | None, Site | None], tuple[int, int, int]] = {}
        """Type, name and site -> how many there were, their nanoseconds, those of the longest."""

    def add(self, block: Block) -> None:
        """Remember one."""
        if self.worst is None or block.nanoseconds > self.worst.nanoseconds:
            self.worst = block
        place = block.type, block.name, block.site
        known = self.places.get(place)
        if known is not None:
            number, time, longest = known
            longest = max(longest, block.nanoseconds)
            self.places[place] = number + 1, time + block.nanoseconds, longest
        elif len(self.places) < MAX_PLACES:
            self.places[place] = 1, block.nanoseconds, block.nanoseconds

    def clear(self) -> None:
        """Forget them."""
        self.worst = None
        self.places.clear()


blocks = Blocks()


def held(state: ThreadState, lifetime: RecordedLifetime, began: int, now: int) -> int:
    """A callback of the loop itself took long: the nanoseconds of it that are somebody's."""
    lasted = now - began
    if lasted > recorder.slow:
        lasted = held_within(state, lifetime, began, now)
        state.blamed = state.samples = ()
    if lasted > LONG:
        lifetime.type.turns.long_run(lasted)
    return lasted


def held_within(state: ThreadState, lifetime: RecordedLifetime, began: int, now: int) -> int:
    """The same of such a callback, or of what ran inside of it, if it is longer than
    `recorder.slow`; it is blamed."""
    standstill.look(now)
    inside = [one for one in state.blamed if one.began >= began]
    samples = [
        sample
        for sample in state.samples
        if sample.step == state.entered
        and began < sample.at <= now
        and not any(one.began < sample.at <= one.ended for one in inside)
    ]
    if any(sample.stack.in_debugger for sample in samples):
        return 0
    lasted = now - began - standstill.within(began, now)
    own = lasted - sum(one.time for one in inside)
    if own > recorder.slow:
        state.blamed = (*state.blamed, Blamed(began, now, own))
        _blame(state, lifetime, began, now, own, _typical(samples))
    return lasted


def _typical(samples: list[Sample]) -> Stack | None:
    """The stack of the place where the step was seen most often, and of those the last."""
    seen: dict[Site | None, list[Stack]] = {}
    for sample in reversed(samples):
        seen.setdefault(sample.stack.site, []).append(sample.stack)
    return max(seen.values(), key=len)[0] if seen else None


def _name_of(lifetime: RecordedLifetime, stack: Stack | None) -> str | None:
    """What becomes no span has no name; what the loop has called has one."""
    if stack is not None and lifetime.type.transparent:
        return stack.frames[-1][0].co_qualname
    return lifetime.name


def _blame(
    state: ThreadState,
    lifetime: RecordedLifetime,
    began: int,
    now: int,
    time: int,
    stack: Stack | None,
) -> None:
    blocked.number += 1
    blocked.time += time
    name = _name_of(lifetime, stack)
    where = None if stack is None else stack.site
    made = where or site(lifetime.code, lifetime.lasti)
    blocks.add(Block(time, lifetime.type.name, name, made))
    attributes: dict[str, Any] = {"whence.blocked.time": time / 1e9}
    if where is not None:
        attributes["code.file.path"] = where.file
        attributes["code.line.number"] = where.line
        attributes["code.function.name"] = where.function
    if stack is not None:
        attributes["code.stacktrace"] = str(stack)
    attributes |= delayed_by(lifetime, name, began, now)
    carrier = _carrier(lifetime)
    if carrier is not None:
        if carrier is not lifetime:
            attributes["whence.type"] = lifetime.type.name
            attributes["whence.async_id"] = lifetime.async_id
        _carry(carrier, began, time, attributes)
    elif lifetime.type.transparent and not is_left_out(lifetime):
        step = _as_span(lifetime, state, began, now)
        step.name = name
        _carry(step, began, time, attributes)
        finish_span(step, DONE, now)


def _carrier(lifetime: RecordedLifetime) -> SpanLifetime | None:
    """The nearest that is a span and open still: itself, or what led to it."""
    nearest: Any = lifetime
    while nearest is not None and (nearest.transparent or not nearest.open):
        if come_back(nearest):
            break
        nearest = nearest.parent
    return nearest  # type: ignore[no-any-return]


def _carry(carrier: SpanLifetime, began: int, time: int, attributes: dict[str, Any]) -> None:
    carrier.keep = True
    # Replaced, not changed: the sender thread may be reading those of an earlier segment.
    if len(carrier.events or ()) < MAX_EVENTS:
        carrier.events = [*(carrier.events or ()), (EVENT, began, attributes)]
    known = carrier.attributes or {}
    total = known.get("whence.blocked.total_time", 0.0) + time / 1e9
    carrier.attributes = {**known, "whence.blocked.total_time": total}


def _as_span(lifetime: RecordedLifetime, state: ThreadState, began: int, now: int) -> SpanLifetime:
    """One step of what becomes no span itself, as one that is about to end."""
    span = SpanLifetime.copy(lifetime)  # type: ignore[arg-type]
    span.created, span.open, span.transparent = began, False, False
    span.thread_id, span.execution_async_id = state.thread_id, lifetime.trigger_async_id
    span.run, span.ready, span.steps = now - began, 0, 1
    span.children = span.ended = 0
    span.attributes = span.events = span.segments = span.span = span.fate = None
    adopt(span, lifetime, lifetime)
    return span


def restart_in_child() -> None:
    """After a fork: what blocked is the parent's to report."""
    blocks.clear()
    blocked.number = blocked.time = 0
    standstill.rest()


twin.tell(held=held, held_within=held_within)
