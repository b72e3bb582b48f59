"""Futures: a subclass of asyncio's own, under its name.

`loop.create_future()` looks up `asyncio.futures.Future` when it is called, so the one name covers
it and direct `Future()` alike; classes that the program derives from it give way
(`standin.py`).  Settling is seen where it
happens: every way of settling a future of asyncio goes through these three methods.

Arguments that asyncio refuses are passed on to asyncio, for it to say so in its own words.
"""

import inspect
from asyncio import AbstractEventLoop, futures
from typing import TYPE_CHECKING, Any

from . import sites, twin
from .dispatch import emit, emit_init, listeners
from .events import dropped
from .execution import local, new_async_id
from .lifetimes import CANCELLED, DONE, FAILED, Lifetime
from .recorder import begin, clock, failed, finish_outside, recorder
from .resource_types import FUTURE
from .standin import StandIn, stand_in_of_c

_Stock: Any = futures.Future
_stock_init = _Stock.__init__
_stock_set_result = _Stock.set_result
_stock_set_exception = _Stock.set_exception
_stock_cancel = _Stock.cancel
_stock_del = _Stock.__del__

_ABSENT: Any = object()


class Future(_Stock, metaclass=StandIn):  # type: ignore[misc]
    """asyncio.Future, seen."""

    __slots__ = ("_lifetime",)
    _stands_for = _Stock
    _gives_way = True
    _lifetime: Lifetime

    def __init__(self, *wrong: Any, loop: AbstractEventLoop | None = None) -> None:
        try:
            if wrong:
                _stock_init(self, *wrong, **({} if loop is None else {"loop": loop}))
            else:
                _stock_init(self, loop=loop)
        except BaseException as error:
            _leave_traceback(error)
            raise
        if self._source_traceback is not None:
            sites.leave_out_ours(self._source_traceback)
        state = local.state
        trigger = state.current
        if recorder.on:
            lifetime: Lifetime = begin(FUTURE, trigger, state, 2)
        else:
            lifetime = Lifetime()
            lifetime.async_id = new_async_id()
            lifetime.type = FUTURE
            lifetime.trigger_async_id = trigger.async_id
            lifetime.open = True
            lifetime.created = 0
        lifetime.notify = listeners.destroy is not None
        self._lifetime = lifetime
        if listeners.init is not None:
            emit_init(state, listeners.init, lifetime, self)

    def set_result(self, result: object = _ABSENT, /, *wrong: Any) -> None:
        """Mark the future done and set its result."""
        try:
            if result is _ABSENT:
                _stock_set_result(self)
            elif wrong:
                _stock_set_result(self, result, *wrong)
            else:
                _stock_set_result(self, result)
        except BaseException as error:
            _leave_traceback(error)
            raise
        if self._lifetime.open:
            _settled(self, self._lifetime, DONE)

    def set_exception(self, exception: Any = _ABSENT, /, *wrong: Any) -> None:
        """Mark the future done and set an exception."""
        try:
            if exception is _ABSENT:
                _stock_set_exception(self)
            elif wrong:
                _stock_set_exception(self, exception, *wrong)
            else:
                _stock_set_exception(self, exception)
        except BaseException as error:
            _leave_traceback(error)
            raise
        if self._lifetime.open:
            _settled(self, self._lifetime, FAILED)

    def cancel(self, msg: Any = None, *wrong: Any) -> bool:
        """Cancel the future and schedule callbacks."""
        try:
            cancelled: bool = (
                _stock_cancel(self, msg, *wrong) if wrong else _stock_cancel(self, msg=msg)
            )
        except BaseException as error:
            _leave_traceback(error)
            raise
        if cancelled and self._lifetime.open:
            _settled(self, self._lifetime, CANCELLED)
        return cancelled

    def __del__(self) -> None:
        try:
            if self._lifetime.open:
                dropped(self._lifetime)
        except AttributeError:
            return  # asyncio has refused to make it
        if self._log_traceback:  # else asyncio's has nothing to do
            _stock_del(self)


Future.__module__ = _Stock.__module__
Future.__doc__ = _Stock.__doc__
Future.__qualname__ = _Stock.__qualname__

_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)


def _look_like_stock() -> None:
    """Show the methods as asyncio's are documented."""
    for name in ("__init__", "set_result", "set_exception", "cancel"):
        method, stock = vars(Future)[name], getattr(_Stock, name)
        method.__doc__ = stock.__doc__
        if name == "__init__":
            made = inspect.signature(_Stock)
            method.__signature__ = made.replace(parameters=[_SELF, *made.parameters.values()])
        else:
            method.__signature__ = inspect.signature(stock)


_look_like_stock()


def _settled(future: Future, lifetime: Lifetime, outcome: str) -> None:
    """promise_resolve and destroy, in the context of whoever settles."""
    state = local.state
    if listeners.promise_resolve is not None:
        emit(state, listeners.promise_resolve, lifetime.async_id)
    lifetime.open = False
    if lifetime.created:
        if outcome is FAILED:
            failed(lifetime, future._exception)
        finish_outside(lifetime, outcome, clock())  # type: ignore[arg-type]
    if listeners.destroy is not None:
        emit(state, listeners.destroy, lifetime.async_id)


def _leave_traceback(error: BaseException) -> None:
    """Take our own frame out of it: the program's error shows the program's frames."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import make_future

    class _NoLoop:
        """As much of a loop as a future needs that is done."""

        def get_debug(self) -> bool:
            return False

    _with_result = _Stock(loop=_NoLoop())
    _with_result.set_result(None)
    twin.tell(leave_out_ours=sites.leave_out_ours)
    try:
        Future = stand_in_of_c(make_future(_Stock, _with_result), _Stock, _gives_way=True)
    except TypeError as error:
        # asyncio's is not what C knows: a class in Python, say.
        twin.slower["futures are of a class in Python"] = twin.on_one_line(error)
