"""Threads: from `start()` to the end of `run()`.

`run` is patched on the class that defines it, when a thread of that class is first started: a
closure on the instance would be a reference cycle.  `threading.Timer` is a Timer and no Thread as
well.  The agent's own threads, and what they start, are told to nobody.
"""

import threading
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    Lifetime,
    SpanLifetime,
    Token,
    create,
    end,
    enter,
    failed,
    hide,
    leave,
    local,
)
from whence.engine.resource_types import THREAD, TIMER
from whence.engine.sites import PLUMBING, whose

from .jobs import job_name
from .patching import Patches, calling, is_method, is_patched, leave_traceback, looks_like

_pool_threads: set[type] = set()
"""Classes of threads that run the jobs of a pool; what one does belongs to who gave it the job."""

_MUTED = object()
"""Stands in a thread's `_whence` for the token of its lifetime: nobody is told of this one."""


def install(patches: Patches) -> None:
    """See threads start and run."""
    patches.replace(threading.Thread, "start", _starting(patches, threading.Thread.start))


def hide_threads_of(patches: Patches, cls: type | None) -> None:
    """Let threads of this class be no spans: they run the jobs of a pool."""
    if cls is not None:
        _pool_threads.add(cls)
        patches.on_undo(lambda: _pool_threads.discard(cls))


def _starting(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    @looks_like(original)
    def start(self: Any) -> None:
        fresh = getattr(self, "_ident", self) is None and "_whence" not in vars(self)
        try:
            if fresh:
                self._whence = _MUTED if local.state.muted else Token(_created(self))
                _see(patches, self)
            original(self)
        except BaseException as error:
            if fresh and self._ident is None:
                _never_started(self)
            leave_traceback(error)
            raise
        finally:
            del self

    return start


def _created(thread: threading.Thread) -> Lifetime:
    state = local.state
    row = TIMER if isinstance(thread, threading.Timer) else THREAD
    lifetime = create(state, row, thread, state.current, 3)
    if isinstance(lifetime, SpanLifetime):
        target = vars(thread).get("function", vars(thread).get("_target"))
        lifetime.name = job_name(thread if target is None else target)
        plumbing = type(thread) in _pool_threads or _is_worker(target)
        if plumbing or lifetime.name == "Loop._do_shutdown":  # uvloop's: Cython has no code objects
            # A pool's worker, say: what it does belongs to whoever submitted the jobs.
            hide(lifetime)
    return lifetime


def _is_worker(target: Any) -> bool:
    """Whether a pool or a loop has made the thread; and not the program, for an `Event.set`."""
    function = target.__func__ if type(target) is MethodType else target
    if type(function) is not FunctionType:
        return False
    file = function.__code__.co_filename
    return whose(file) is PLUMBING and file != threading.Event.set.__code__.co_filename


def _never_started(thread: Any) -> None:
    own_run = vars(thread).get("run")
    if is_patched(own_run):
        thread.run = own_run._whence_original
    token = vars(thread).pop("_whence", _MUTED)
    if token is not _MUTED:
        end(local.state, token.lifetime, CANCELLED)


def _see(patches: Patches, thread: threading.Thread) -> None:
    """Have this thread's `run` patched, where it is defined."""
    own_run = vars(thread).get("run")
    if own_run is not None:
        thread.run = _running_once(own_run)  # type: ignore[method-assign]
        return
    for owner in type(thread).__mro__:
        run = vars(owner).get("run")
        if run is None:
            continue
        if is_method(run) and not is_patched(run):
            patched = _running(calling(run), run)
            # A class made in C or Cython takes no patch; one derived from it does.
            if not patches.replace(owner, "run", patched):
                patches.replace(type(thread), "run", patched)
        return


def _running_once(own_run: Callable[..., Any]) -> Callable[..., Any]:
    """For a `run` that the program has set on the thread itself.

    Refers to no thread, and gives its place back to what the program has set when it is called."""

    def call(thread: threading.Thread, *args: Any, **kwargs: Any) -> Any:
        thread.run = own_run  # type: ignore[method-assign]
        return own_run(*args, **kwargs)

    as_thread = _running(call, own_run)

    @looks_like(own_run)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return as_thread(threading.current_thread(), *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del args, kwargs

    return run


def _running(call: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    @looks_like(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Taken out at once: an overridden run() may call the one that it overrides.
        token = vars(self).pop("_whence", None)
        state = local.state
        previous, lifetime, outcome = state.current, None, DONE
        try:
            if token is _MUTED:
                state.muted = True
            elif token is not None:
                lifetime = token.lifetime
                enter(state, lifetime, self)
            return call(self, *args, **kwargs)
        except BaseException as error:
            if lifetime is not None and not isinstance(error, SystemExit):
                failed(lifetime, error)
                outcome = FAILED
            leave_traceback(error)
            raise
        finally:
            if lifetime is not None:
                leave(state, lifetime, previous)
                end(state, lifetime, outcome)
            del self, args, kwargs

    return run
