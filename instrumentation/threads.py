"""Threads: from `start()` to the end of `run()`.

`run` is patched on the class that defines it, when a thread of that class is first started: a
closure on the instance would be a reference cycle.  `threading.Timer` is a Timer and no Thread as
well.  The agent's own threads, and what they start, are told to nobody.
"""

import threading
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

from whence.engine import (
    CANCELLED,
    SpanLifetime,
    create,
    end,
    enter,
    failed,
    hide,
    leave,
    local,
)
from whence.engine.sites import PLUMBING, whose
from whence.engine.types import THREAD, TIMER

from .patching import Patches, leave_traceback

_MUTED = object()


def install(patches: Patches) -> None:
    """See threads start and run."""
    patches.replace(threading.Thread, "start", _starting(patches, threading.Thread.start))


def _starting(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        state = local.state
        if self.ident is None and not hasattr(self, "_whence"):
            _see(patches, type(self))
            self._whence = _MUTED if state.muted else _created(self)  # type: ignore[attr-defined]
        try:
            original(self)
        except BaseException as error:
            if self.ident is None:
                _never_started(self)
            leave_traceback(error)
            raise
        finally:
            self = None  # type: ignore[assignment]

    return start


def _created(thread: threading.Thread) -> Any:
    state = local.state
    row = TIMER if isinstance(thread, threading.Timer) else THREAD
    lifetime = create(state, row, thread, state.current, 3)
    if isinstance(lifetime, SpanLifetime):
        target = getattr(thread, "function", None) or getattr(thread, "_target", None)
        lifetime.name = getattr(target, "__qualname__", None) or type(thread).__qualname__
        code = getattr(getattr(target, "__func__", target), "__code__", None)
        if code is not None and whose(code.co_filename) is PLUMBING:
            # A pool's worker: what it does belongs to whoever submitted the jobs.
            hide(lifetime)
    return lifetime


def _never_started(thread: Any) -> None:
    lifetime = thread.__dict__.pop("_whence", None)
    if lifetime not in (None, _MUTED):
        end(local.state, lifetime, CANCELLED)


def _see(patches: Patches, cls: type) -> None:
    for owner in cls.__mro__:
        run = vars(owner).get("run")
        if run is None:
            continue
        if type(run) is FunctionType and not hasattr(run, "_whence_patched"):
            patched = _running(run)
            patched._whence_patched = True  # type: ignore[attr-defined]
            patches.replace(owner, "run", patched)
        return


def _running(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Taken out at once: an overridden run() may call the one that it overrides.
        lifetime = self.__dict__.pop("_whence", None)
        state = local.state
        if lifetime is None or lifetime is _MUTED:
            state.muted = state.muted or lifetime is _MUTED
            return original(self, *args, **kwargs)
        previous = state.current
        try:
            enter(state, lifetime, self)
            return original(self, *args, **kwargs)
        except BaseException as error:
            if not isinstance(error, SystemExit):
                failed(lifetime, error)
            leave_traceback(error)
            raise
        finally:
            leave(state, lifetime, previous)
            end(state, lifetime)
            self = args = kwargs = None

    return run
