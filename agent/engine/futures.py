"""Futures: a subclass of asyncio's own, under its name.

`loop.create_future()` looks up `asyncio.futures.Future` when it is called, so the one name covers it
and direct `Future()` alike, the program's own subclasses too.  Settling is seen where it happens:
every way of settling a future of asyncio goes through these three methods.
"""

from asyncio import AbstractEventLoop, futures
from typing import Any

from .events import create, dropped, end, resolve
from .execution import local
from .lifetimes import CANCELLED, DONE, FAILED, Lifetime
from .recorder import failed
from .standin import StandIn
from .types import FUTURE

_Stock: Any = futures.Future
_stock_init = _Stock.__init__
_stock_set_result = _Stock.set_result
_stock_set_exception = _Stock.set_exception
_stock_cancel = _Stock.cancel
_stock_del = _Stock.__del__


class Future(_Stock, metaclass=StandIn):  # type: ignore[misc]
    """asyncio.Future, seen."""

    __slots__ = ("_lifetime",)
    _stands_for = _Stock
    _lifetime: Lifetime

    def __init__(self, *, loop: AbstractEventLoop | None = None) -> None:
        try:
            _stock_init(self, loop=loop)
        except BaseException as error:
            _leave_traceback(error)
            raise
        if self._source_traceback is not None:
            del self._source_traceback[-1]
        state = local.state
        self._lifetime = create(state, FUTURE, self, state.current, 3)

    def set_result(self, result: object, /) -> None:
        """Mark the future done and set its result."""
        try:
            _stock_set_result(self, result)
        except BaseException as error:
            _leave_traceback(error)
            raise
        _settled(self, DONE)

    def set_exception(self, exception: Any, /) -> None:
        """Mark the future done and set an exception."""
        try:
            _stock_set_exception(self, exception)
        except BaseException as error:
            _leave_traceback(error)
            raise
        _settled(self, FAILED)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the future and schedule callbacks."""
        cancelled: bool = _stock_cancel(self, msg=msg)
        if cancelled:
            _settled(self, CANCELLED)
        return cancelled

    def __del__(self) -> None:
        lifetime = getattr(self, "_lifetime", None)
        if lifetime is not None and lifetime.open:
            dropped(lifetime)
        _stock_del(self)


Future.__module__ = _Stock.__module__
Future.__qualname__ = _Stock.__qualname__


def _settled(future: Future, outcome: str) -> None:
    lifetime = future._lifetime
    if not lifetime.open:
        return
    state = local.state
    resolve(state, lifetime)
    if outcome is FAILED and lifetime.created:
        failed(lifetime, future._exception)
    end(state, lifetime, outcome)


def _leave_traceback(error: BaseException) -> None:
    """Take our own frame out of it: the program's error shows the program's frames."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
