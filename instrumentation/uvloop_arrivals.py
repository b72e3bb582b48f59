"""Protocols that uvloop is about to give a transport, or a process.

Nobody sees uvloop make a transport: the protocol's `connection_made` shows it first.  So the
program's protocol factory is called by one of ours, which patches the callbacks of the protocol's
class before the transport keeps them, and marks the protocol as expecting a transport.  A marked
protocol always gets a new id: what stands in the table at its address is of another.
"""

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

from whence.engine import Lifetime, RecordedLifetime, clock, local, recorder
from whence.engine.sites import outside

from .patching import Patches, Wrapper, leave_traceback
from .protocols import arriving, see
from .uvloop_leftovers import Leftovers, left_on

TOLD = ("connection_made", "connection_lost", "process_exited")
"""The callbacks that begin and end a life: patched also where asyncio's own do nothing."""


class Expected(NamedTuple):
    """What one call of a loop's method will give to the protocols that its factory makes."""

    begin: Callable[["Arrival", Any, Any], None]
    """Called with the protocol and the transport, or the process, that has come."""
    name: str | None
    leftovers: Leftovers
    since: int
    code: CodeType | None = None
    lasti: int = 0
    """Where the program called the method."""

    def placed(self, lifetime: Lifetime) -> None:
        """Put a resource where it was asked for; it comes when only the loop is running."""
        if self.code is not None and isinstance(lifetime, RecordedLifetime):
            lifetime.code, lifetime.lasti = self.code, self.lasti


class Arrival:
    """What one protocol expects, and what will have triggered it."""

    __slots__ = ("expected", "trigger")

    def __init__(self, expected: Expected, trigger: Lifetime) -> None:
        self.expected = expected
        self.trigger = trigger

    def __call__(self, protocol: Any, transport: Any) -> None:
        """The protocol is told of a transport; maybe, by the program, of another's."""
        if transport.get_protocol() is protocol:
            del arriving[id(protocol)]
            self.expected.begin(self, protocol, transport)


class Expecting:
    """The program's protocol factory, and the protocols that it makes.

    A mark stays where a handshake fails; it goes with this."""

    def __init__(self, factory: Any, patches: Patches, expected: Expected) -> None:
        self.factory = factory
        self.patches = patches
        self.expected = expected

    def __call__(self) -> Any:
        """Make a protocol, as the program does."""
        try:
            return self.expect(self.factory(), local.state.current)
        except BaseException as error:
            leave_traceback(error)
            raise

    def expect(self, protocol: Any, trigger: Lifetime) -> Any:
        """Mark this protocol."""
        see(self.patches, protocol, TOLD)
        arriving[id(protocol)] = Arrival(self.expected, trigger)
        return protocol

    def __del__(self) -> None:
        for key, arrival in list(arriving.items()):
            if isinstance(arrival, Arrival) and arrival.expected is self.expected:
                del arriving[key]


def expecting(
    patches: Patches, begin: Callable[[Arrival, Any, Any], None], name: str | None
) -> Wrapper:
    """Wraps a method of the loop whose first argument is a protocol factory."""

    def call(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
        def expect(factory: Any) -> Expecting:
            expected = Expected(begin, name, left_on(loop), clock(), *place)
            return Expecting(factory, patches, expected)

        asked = recorder.on and recorder.sites
        place = outside(sys._getframe(1)) if asked else (None, 0)
        if not local.state.muted:
            args, kwargs = with_factory(expect, args, kwargs)
        return wrapped(*args, **kwargs)

    return call


def with_factory(
    expect: Callable[[Any], Expecting], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with ours in place of the program's protocol factory, if it has given one."""
    if args:
        if _is_the_programs(args[0]):
            args = (expect(args[0]), *args[1:])
        return args, kwargs
    for name in ("protocol_factory", "proto_factory"):
        if _is_the_programs(kwargs.get(name)):
            kwargs = {**kwargs, name: expect(kwargs[name])}
    return args, kwargs


def _is_the_programs(factory: Any) -> bool:
    # One method of the loop calls another, with what it was given.
    return callable(factory) and not issubclass(type(factory), Expecting)
