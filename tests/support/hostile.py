"""Objects that misbehave wherever somebody touches them, as a dice says; the same for a seed.

Rule: misbehaving never takes for ever: it nests a few levels deep, and then does nothing.
"""

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

dice = random.Random()

MOST_NESTED = 3
_nested = 0

ERRORS: tuple[type[BaseException], ...] = (
    *(ValueError, TypeError, AttributeError, KeyError, RuntimeError, RecursionError, MemoryError),
    *(StopIteration, StopAsyncIteration, GeneratorExit, OverflowError, SystemError),
    *(asyncio.CancelledError, asyncio.InvalidStateError, asyncio.TimeoutError),
    *(SystemExit, KeyboardInterrupt),
)

mischief: list[Callable[[], object]] = [gc.collect]
"""What hostile code does beside raising and lying; programs add to it."""


def misbehave(honest: object) -> Any:
    """Be honest, lie, raise, or do something that nobody expects here."""
    global _nested
    if _nested >= MOST_NESTED:
        return honest
    _nested += 1
    try:
        chance = dice.random()
        if chance < 0.4:
            return honest
        if chance < 0.6:
            return dice.choice(LIES)
        if chance < 0.8:
            raise dice.choice(ERRORS)("on purpose")
        dice.choice(mischief)()
        return honest
    finally:
        _nested -= 1


_SPECIAL: dict[str, Callable[[Any], object]] = {
    "__repr__": lambda self: "<hostile>",
    "__str__": lambda self: "hostile",
    "__hash__": lambda self: 7,
    "__eq__": lambda self: True,
    "__ne__": lambda self: False,
    "__lt__": lambda self: True,
    "__gt__": lambda self: False,
    "__bool__": lambda self: True,
    "__len__": lambda self: 1,
    "__iter__": lambda self: iter(()),
    "__next__": lambda self: None,
    "__contains__": lambda self: True,
    "__getitem__": lambda self: self,
    "__call__": lambda self: self,
    "__index__": lambda self: 1,
    "__int__": lambda self: 1,
    "__float__": lambda self: 0.001,
    "__add__": lambda self: self,
    "__radd__": lambda self: self,
    "__sub__": lambda self: self,
    "__rsub__": lambda self: self,
    "__enter__": lambda self: self,
    "__exit__": lambda self: None,
    "__await__": lambda self: iter(()),
    "__get__": lambda self: self,
    "__getattr__": lambda self: self,
    "__del__": lambda self: None,
    "__fspath__": lambda self: "nowhere",
    "__format__": lambda self: "hostile",
    "__reduce_ex__": lambda self: "hostile",
}


def _method(honest: Callable[[Any], object]) -> Callable[..., object]:
    def method(self: object, *args: object, **kwargs: object) -> object:
        return misbehave(honest(self))

    return method


def hostile_class(name: str, *bases: type, leave: tuple[str, ...] = ()) -> type[Any]:
    """A class derived from `bases` with every special method hostile but those to `leave`."""
    own = {special: _method(honest) for special, honest in _SPECIAL.items() if special not in leave}
    own["__class__"] = property(lambda self: misbehave(type(self)))  # type: ignore[assignment]
    return type(name, bases or (object,), own)


Hostile = hostile_class("Hostile")
HostileStr = hostile_class("HostileStr", str)
HostileInt = hostile_class("HostileInt", int)
HostileFloat = hostile_class("HostileFloat", float)
HostileTuple = hostile_class("HostileTuple", tuple, leave=("__iter__", "__len__", "__getitem__"))
HostileDict = hostile_class("HostileDict", dict)


class Coroutine:
    """One by duck typing: it yields, returns and raises what it likes."""

    def send(self, value: object) -> object:
        return misbehave(None)

    def throw(self, *error: object) -> object:
        return misbehave(None)

    def close(self) -> object:
        return misbehave(None)

    def __await__(self) -> Any:
        return misbehave(self)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    cr_frame = cr_code = cr_await = None
    cr_running = False


def plain_function(*args: object, **kwargs: object) -> None:
    """Does what it should."""


def hostile_function(*args: object, **kwargs: object) -> object:
    """Does not."""
    return misbehave(None)


def no_arguments() -> None:
    """Cannot be called with any."""


async def coroutine_function(*args: object) -> object:
    """A coroutine of it misbehaves at each step."""
    for _ in range(dice.randrange(3)):
        await asyncio.sleep(0)
        misbehave(None)
    return misbehave(None)


def generator_function(*args: object) -> Any:
    yield misbehave(None)


def values() -> list[Any]:
    """One of everything that may be given where something else is expected."""
    return [
        None, True, -1, 0, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30,
        0.0, -0.5, 1e-9, float("inf"), float("-inf"), float("nan"), 1j,
        "", "Task", "\0", "\ud800", "x" * 10_000, b"bytes", bytearray(b"x"),
        (), (1, 2), [], {}, {"init": 1}, set(), frozenset({1}), range(3), slice(1), ...,
        NotImplemented, int, type, object, object(), print, len, dict.get, [].append,
        asyncio, asyncio.Future, asyncio.Task, asyncio.Handle, ValueError, ValueError("x"),
        BaseException, lambda: None, lambda *args: 1 // 0, plain_function, hostile_function,
        no_arguments, coroutine_function, generator_function, Hostile, Hostile(), Coroutine(),
        HostileStr("hostile"), HostileInt(3), HostileFloat(0.001), HostileTuple((1,)),
        HostileDict(init=1), memoryview(b"x"), property(), staticmethod(len),
        classmethod(hostile_function),
        type("Metaclass", (type,), {"__call__": _method(lambda self: None)})("Made", (), {}),
    ]  # fmt: skip


LIES: list[Any] = [None, 0, -1, 2**70, "", "lie", (), [], object(), type, float("nan"), ...]
