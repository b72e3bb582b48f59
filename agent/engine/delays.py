"""For whom a step that held its loop was too long: what waited for its turn meanwhile.

The one that held it names them, and each of them names it.
"""

from typing import Any

from ..naming import span_name
from .lifetimes import Lifetime, RecordedLifetime, SpanLifetime
from .waiting import Waiting

MAX_DELAYED = 20
"""Delayed resources that are named."""
LEAST_DELAY = 1_000_000
"""Nanoseconds from which on a resource was delayed."""


def delayed_by(blocker: RecordedLifetime, name: str | None, began: int, now: int) -> dict[str, Any]:
    """Attributes for the event of a step that lasted from `began` to now; those that it delayed get
    theirs.  `name` is what ran: callbacks have none of their own."""
    try:
        waiting = Waiting(now)
    except Exception:
        return {}  # a loop of another's making, which keeps anything anywhere
    delayed = [
        (lifetime, time)
        for lifetime in map(_innermost, waiting.lifetimes)
        if (time := now - max(began, lifetime.scheduled)) >= LEAST_DELAY
        and not _executes(lifetime)
        and lifetime is not blocker
    ]
    if not delayed:
        return {}
    called = span_name(blocker.type.name, name)
    delayed.sort(key=lambda one: -one[1])
    named: list[tuple[SpanLifetime, int]] = []
    for lifetime, time in delayed:
        if isinstance(lifetime, SpanLifetime) and not lifetime.transparent:
            _note_delay(lifetime, blocker, called, time / 1e9)
            if len(named) < MAX_DELAYED:
                named.append((lifetime, time))
    return {
        "whence.delayed.number": len(delayed) + waiting.more,
        # First what a person reads.
        "whence.delayed.names": [span_name(one.type.name, one.name) for one, _ in named],
        "whence.delayed.times": [time / 1e9 for _, time in named],
        "whence.delayed.ids": [lifetime.async_id for lifetime, _ in named],
    }


def _innermost(lifetime: RecordedLifetime) -> RecordedLifetime:
    """What the step of a task is really of: the request that it serves."""
    scope = getattr(lifetime, "scope", None)
    if scope is None or not isinstance(scope.lifetime, RecordedLifetime):
        return lifetime
    served: RecordedLifetime = scope.lifetime
    served.scheduled = lifetime.scheduled
    return served


def _executes(lifetime: Lifetime) -> bool:
    return getattr(lifetime, "resource", None) is not None


def _note_delay(lifetime: SpanLifetime, blocker: Lifetime, called: str, seconds: float) -> None:
    """It says by whom it was delayed most."""
    known = lifetime.attributes or {}
    if known.get("whence.delayed.time", 0.0) < seconds:
        lifetime.attributes = {
            **known,
            "whence.delayed.by": blocker.async_id,
            "whence.delayed.blocker": called,
            "whence.delayed.time": seconds,
        }
