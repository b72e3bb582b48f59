"""Whether an iteration of asyncio's selector loops is the one that the engine in C writes out.

A Python in which one of its functions looks up anything else has changed it; there, and on loops
and selectors of another kind, asyncio's own `_run_once` runs, with either engine.
"""

import selectors
from asyncio import selector_events
from collections import deque
from collections.abc import Callable
from typing import Any

from .run_places import Place, place_in

_LOOP: Any = selector_events.BaseSelectorEventLoop
_SELECTOR: Any = getattr(selectors, "EpollSelector", None)

_LOOKED_UP: tuple[tuple[Any, str, str], ...] = (
    (
        _LOOP,
        "_run_once",
        "MAXIMUM_SELECT_TIMEOUT _MIN_CANCELLED_TIMER_HANDLES_FRACTION _MIN_SCHEDULED_TIMER_HANDLES"
        " _cancelled _clock_resolution _current_handle _debug _format_handle _process_events _ready"
        " _run _scheduled _selector _stopping _timer_cancelled_count _when append heapify heappop"
        " heapq len logger max min popleft range select slow_callback_duration time warning",
    ),
    (
        _LOOP,
        "_process_events",
        "EVENT_READ EVENT_WRITE _add_callback _cancelled _remove_reader _remove_writer data fileobj"
        " selectors",
    ),
    (_LOOP, "_add_callback", "_cancelled _ready append"),
    (_LOOP, "time", "monotonic time"),
    (
        _SELECTOR,
        "select",
        "EPOLLIN EPOLLOUT EVENT_READ EVENT_WRITE InterruptedError _NOT_EPOLLIN _NOT_EPOLLOUT"
        " _fd_to_key _key_from_fd _selector append ceil events get len math max poll select",
    ),
)
"""Class, method, and what it looks up in all the Pythons whose form of it is written out."""


def are_known() -> bool:
    """Whether it is: false where there is no epoll."""
    return all(_is_known(getattr(owner, name, None), names) for owner, name, names in _LOOKED_UP)


def _is_known(function: object, names: str) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and set(code.co_names) <= set(names.split())


class _Left(Exception):
    """A call has failed."""


class _Probe:
    """Just enough of a loop, of its selector and of a handle to fail one call."""

    _scheduled = ()
    _timer_cancelled_count = 0
    _stopping = True
    _debug = False
    _cancelled = False
    _clock_resolution = 0.0

    def __init__(self, failing: str) -> None:
        self._ready = deque([self])
        self._selector = self
        self._fd_to_key: dict[int, object] = {}
        setattr(self, failing, self._fail)

    def _fail(self, *_: object) -> None:
        raise _Left

    def select(self, timeout: float) -> tuple[()]:
        """Nothing is ready."""
        return ()

    def _process_events(self, events: object) -> None: ...

    def time(self) -> float:
        """No time passes."""
        return 0.0


def _place(function: Callable[..., Any], failing: str) -> Place | None:
    try:
        function(_Probe(failing))
    except _Left as left:
        return place_in(left, function.__code__)
    raise RuntimeError(f"expected {function.__qualname__} to call {failing}")


def _places() -> tuple[Place | None, ...]:
    """Where the calls are that an error comes through: of `select`, in that of `poll`, and of
    `_run`."""
    return (
        _place(_LOOP._run_once, "select"),
        _place(_SELECTOR.select, "poll"),
        _place(_LOOP._run_once, "_run"),
    )


def written_out() -> tuple[Any, ...]:
    """The classes whose methods C writes out, that of a selector's keys, where the calls are, and
    what lets the interpreter look around."""
    return _LOOP, _SELECTOR, selectors.SelectorKey, _places(), look_around


def look_around() -> None:
    """Entered, for the interpreter to look for signals and for threads that want to run."""
