"""What a loop of uvloop has open; closing the loop closes it without a word to anybody.

Callbacks and timers are not here: the loop cancels them one by one.
"""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import uvloop

from whence.engine import CLOSED, Lifetime, Token, end, local

from .patching import Patches


class Leftovers:
    """Of one loop; it belongs to the loop and goes with it."""

    def __init__(self) -> None:
        self.readers: dict[int, Lifetime] = {}
        self.writers: dict[int, Lifetime] = {}
        self.signals: dict[int, Lifetime] = {}
        self.processes: dict[Lifetime, Any] = {}
        """With their transports, which take no weak reference; the loop itself refers to them."""
        self._held: WeakKeyDictionary[Any, list[Token]] = WeakKeyDictionary()

    def hold(self, resource: Any, lifetime: Lifetime) -> None:
        """A server, or a transport with what came with it: it ends when it is collected."""
        self._held.setdefault(resource, []).append(Token(lifetime))

    def of(self, resource: Any) -> list[Lifetime]:
        """The lifetimes held for a resource."""
        return [token.lifetime for token in self._held.get(resource, ())]

    def all(self) -> Iterator[Lifetime]:
        """Everything that is open."""
        for watched in (self.readers, self.writers, self.signals):
            yield from watched.values()
        for resource in list(self._held):
            yield from self.of(resource)
        yield from self.processes


def left_on(loop: Any) -> Leftovers:
    """What this loop has open."""
    leftovers: Leftovers | None = getattr(loop, "_whence", None)
    if leftovers is None:
        leftovers = loop._whence = Leftovers()
    return leftovers


def install(patches: Patches) -> None:
    """See loops being closed."""
    patches.wrap(uvloop.Loop, "close", _close)


def _close(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    leftovers: Leftovers | None = getattr(loop, "_whence", None)
    # Closing drops the transports, and what is held for them.
    left = [] if leftovers is None else list(leftovers.all())
    wrapped(*args, **kwargs)
    vars(loop).pop("_whence", None)
    state = local.state
    for lifetime in left:
        end(state, lifetime, CLOSED)
