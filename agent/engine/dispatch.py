"""Hooks, and the one funnel through which every event goes to them.

The five events of a resource, in their legal order:

    init (before after)* destroy                                   a callback, a connection ...
    init promise_resolve destroy                                   a future
    init (before after)* before promise_resolve after destroy      a task

The rules (SEMANTICS 2 to 4):

- Hooks get an event in the order in which they were enabled.
- An outermost event works on the list as it was when it began.  A change made by a hook callback
  is kept and takes effect when that thread's outermost event ends; so events nested in it still
  go to the old list.
- A callback that raises ends the process (policy "exit", Node's), in a way that the program cannot
  catch; under "log" its traceback is printed and everything else goes on.
- The first hook installs the instrumentations, and the last one to go takes them out.
"""

import sys
from _thread import RLock, allocate_lock, interrupt_main
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from . import twin
from .execution import MAIN, ThreadState, in_main_thread, local
from .lifetimes import Lifetime

EVENTS = ("init", "before", "after", "destroy", "promise_resolve")

Callback = Callable[..., object]


class Hook(Protocol):
    """What can be enabled: the five events, each a callable or None."""

    init: Callback | None
    before: Callback | None
    after: Callback | None
    destroy: Callback | None
    promise_resolve: Callback | None


class _Fields:
    """Who hears each event."""

    __slots__ = EVENTS

    init: Callback | None
    before: Callback | None
    after: Callback | None
    destroy: Callback | None
    promise_resolve: Callback | None


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Listeners as _Fields


class Listeners(_Fields):
    """Who hears each event: nobody (None), one hook's callback, or a callable that tells
    several."""

    __slots__ = ()

    def __init__(self) -> None:
        self.listen(())

    def listen(self, hooks: tuple[Hook, ...]) -> None:
        """Publish another list of hooks."""
        for event in EVENTS:
            callbacks = tuple(c for h in hooks if (c := getattr(h, event)) is not None)
            setattr(self, event, _one(callbacks))


def _one(callbacks: tuple[Callback, ...]) -> Callback | None:
    if not callbacks:
        return None
    if len(callbacks) == 1:
        return callbacks[0]

    def tell_all(*event: object) -> None:
        for callback in callbacks:
            try:
                callback(*event)
            except BaseException as error:
                hook_failed(error)

    return tell_all


listeners = Listeners()
twin.use(listeners=listeners)

_lock = allocate_lock()
_installing = RLock()
"""Held while the instrumentations go in or out, which may import what enables a hook."""
_wanted: tuple[Hook, ...] = ()
_wanted_by_agent = False
_installed = False
_install: Callable[[], None] | None = None
_uninstall: Callable[[], None] | None = None
_exit_on_error = True
_exiting = False


def on_first_and_last(install: Callable[[], None], uninstall: Callable[[], None]) -> None:
    """Name what to call before the first hook hears and after the last one has gone."""
    global _install, _uninstall
    _install, _uninstall = install, uninstall


def enable(hook: Hook) -> None:
    """Add a hook at the end; one that is enabled stays where it is."""
    global _wanted
    with _lock:
        if all(other is not hook for other in _wanted):
            _wanted = (*_wanted, hook)
    _changed()


def disable(hook: Hook) -> None:
    """Take a hook out; one that is not enabled is left alone."""
    global _wanted
    with _lock:
        _wanted = tuple(other for other in _wanted if other is not hook)
    _changed()


def want_instrumentation(wanted: bool) -> None:
    """Keep the instrumentations in without any hook: the agent records."""
    global _wanted_by_agent
    _wanted_by_agent = wanted
    _changed()


def instrumented() -> bool:
    """Whether the instrumentations are in."""
    return _installed


def _changed() -> None:
    state = local.state
    if state.depth:
        state.changed = True
    else:
        _publish()


def _publish() -> None:
    with _lock:
        listeners.listen(_wanted)
    _instrument()


def _instrument() -> None:
    """Put the instrumentations in or out as the last change wants it, one thread at a time."""
    global _installed
    if (bool(_wanted) or _wanted_by_agent) is _installed:
        return
    with _installing:
        wanted = bool(_wanted) or _wanted_by_agent
        if wanted is not _installed:
            _installed = wanted
            change = _install if wanted else _uninstall
            if change is not None:
                change()


def restart_in_child() -> None:
    """After a fork: a lock that another thread of the parent held is held by nobody here."""
    global _lock, _installing
    _lock = allocate_lock()
    _installing = RLock()
    interrupts.clear()


def emit(state: ThreadState, listener: Callback, async_id: int) -> None:
    """Deliver before, after, destroy or promise_resolve.

    What runs for every callback of the program has this body written out (`handles.py`)."""
    state.depth += 1
    try:
        listener(async_id)
    except BaseException as error:
        hook_failed(error)
    finally:
        state.depth -= 1
    if state.changed:
        hooks_changed(state)


def emit_init(state: ThreadState, listener: Callback, lifetime: Lifetime, resource: object) -> None:
    """Deliver init: the same funnel, with what only init is given."""
    state.depth += 1
    try:
        listener(lifetime.async_id, lifetime.type.name, lifetime.trigger_async_id, resource)
    except BaseException as error:
        hook_failed(error)
    finally:
        state.depth -= 1
    if state.changed:
        hooks_changed(state)


def hooks_changed(state: ThreadState) -> None:
    """A hook callback enabled or disabled a hook: publish it once the outermost event is over."""
    if not state.depth:
        state.changed = False
        _publish()


def set_hook_error_policy(policy: str) -> None:
    """Say what a hook callback that raises does to the process.

    "exit" (the default, Node's way): its traceback is printed, atexit handlers run, and the process
    ends with code 1; the program cannot catch it.  "log": its traceback is printed, and everything
    goes on.  May be changed at any time, from any thread.  Another value: ValueError.
    """
    global _exit_on_error
    # By its type and text: an object of the program's may say that it equals anything.
    text = str.__str__(policy) if issubclass(type(policy), str) else ""
    if text not in ("exit", "log"):
        raise ValueError(f"expected the hook error policy 'exit' or 'log', not {policy!r}")
    _exit_on_error = text == "exit"


def hook_error_policy() -> str:
    """The policy in force."""
    return "exit" if _exit_on_error else "log"


def hook_failed(error: BaseException) -> None:
    """Deal with a hook callback that raised, as the policy says."""
    if isinstance(error, KeyboardInterrupt) and not _exit_on_error:
        _interrupted(local.state)
        return
    import traceback

    lines: list[Any] = traceback.format_exception(error)
    text = "whence: a hook callback raised:\n" + "".join(lines)
    _try(lambda: sys.stderr.write(text))
    if _exit_on_error:
        _exit_now()


interrupts: list[None] = []
"""Ctrl-C while a hook ran is the program's to handle: here if the main thread was inside of what it
runs, whose bracket ends with `if interrupts: interrupt()`.

Raised where a hook is told, it would leave the bracket before the stack is put back.  The engine in
C has it raised once no hook and nothing of the engine runs."""


def _interrupted(state: ThreadState) -> None:
    if twin.IN_C or state.current is MAIN or not in_main_thread():
        interrupt_main()
    else:
        interrupts.append(None)


def interrupt() -> None:
    """Have the interrupts that wait handled, if that is for this thread to do."""
    if in_main_thread():
        interrupts.clear()
        interrupt_main()


def _exit_now() -> None:
    """End the process where it stands.  An exception could be caught by the program, or stored in
    one of its tasks (SEMANTICS 4.2, 4.3).

    A hook that fails once more meanwhile, in another thread, does not end it before its time."""
    global _exiting
    if _exiting:
        return
    _exiting = True
    listeners.listen(())
    import atexit
    import os

    try:
        atexit._run_exitfuncs()
        _try(lambda: sys.stdout.flush())
        _try(lambda: sys.stderr.flush())
    finally:
        os._exit(1)


def _try(action: Callable[[], object]) -> None:
    """A standard stream may be closed, None, or an object of the program's that raises."""
    try:
        action()
    except Exception:
        pass


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import emit, emit_init

    twin.tell(hook_failed=hook_failed, hooks_changed=hooks_changed)
