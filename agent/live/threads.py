"""The threads of the process: which of them end with it, and where each is."""

import sys
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..engine import clock
from ..engine.execution import threads as states
from ..engine.sites import Site, is_ours
from ..engine.stacks import MAX_DEPTH, Stack
from .active_resource import place
from .suspended import sites_of

_BOOTSTRAP = frozenset({"Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run"})


class ThreadNow(NamedTuple):
    """A thread of the program's."""

    ident: int
    name: str
    daemon: bool
    """False: the process does not end before it does."""
    main: bool
    async_id: int
    """Of what executes in it; 1 at the top level of the main thread, 0 where nothing is known."""
    held_for: float
    """Seconds for which one callback has been holding the loop of this thread; 0.0 if none is."""
    at: Site | None
    """The innermost line of the program's own."""
    stack: tuple[Site, ...]
    """The innermost last."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field; a Site is {file, line, function}."""
        return {
            **self._asdict(),
            "at": place(self.at),
            "stack": [place(site) for site in self.stack],
        }


def threads_now() -> list[ThreadNow]:
    """Every thread that `threading` knows; those of whence's own are none of them."""
    threading: Any = sys.modules.get("threading")
    # The program may be in the middle of importing it.
    known = dict(getattr(threading, "_active", ()))
    main = getattr(getattr(threading, "_main_thread", None), "ident", None)
    frames = sys._current_frames()
    now = clock()
    found = []
    for ident, frame in frames.items():
        state = states.get(ident)
        if state is not None and state.muted:
            continue
        thread = known.get(ident)
        if thread is None and main is not None:
            continue
        stack = _stack(frame)
        entered = 0 if state is None else state.entered
        found.append(
            ThreadNow(
                ident,
                "MainThread" if thread is None else str(thread.name),
                thread is not None and bool(thread.daemon),
                thread is None or ident == main,
                0 if state is None else state.current.async_id,
                max(0, now - entered) / 1e9 if entered else 0.0,
                stack.site,
                sites_of(stack),
            )
        )
    del frames
    return sorted(found, key=lambda one: (not one.main, one.ident))


def stack_of_thread(ident: int) -> Stack:
    """All of its frames, but for whence's and those that start a thread."""
    return _stack(sys._current_frames().get(ident))


def _stack(frame: FrameType | None) -> Stack:
    found: list[tuple[CodeType, int]] = []
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        if not is_ours(frame.f_code):
            found.append((frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno))
        frame = frame.f_back
    while found and found[-1][0].co_qualname in _BOOTSTRAP:
        found.pop()
    return Stack(found)
