"""Brackets in C of what a loop whose handles are its own is given: their edges."""

import asyncio
import copy
import gc
import os
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import whence
from telling import policy, recorded
from whence.engine import Lifetime, local, twin
from whence.engine.callbacks import Callback, Step
from whence.engine.resource_types import HANDLE, READER
from whence.engine.scheduling import bracket, follow
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

uvloop: Any = pytest.importorskip("uvloop")

Hook = Callable[..., None]


def run(main: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def test_they_are_of_the_engine_in_c() -> None:
    assert {Callback.__module__, Step.__module__} == {"whence._engine"}


@pytest.mark.parametrize("kind", [Callback, Step])
def test_an_empty_one_has_nothing_and_shows_nothing(kind: Any) -> None:
    empty = kind()
    for name in ("args", "callback", "lifetime", "task", "anything", "__wrapped__"):
        with pytest.raises(AttributeError):
            getattr(empty, name)
    for shown in (repr, format, empty.__call__, kind.__call__):
        with pytest.raises((AttributeError, TypeError)):
            shown(empty)
    with pytest.raises(AttributeError, match="callback"):
        empty()
    with pytest.raises(TypeError, match="takes no arguments"):
        kind(1)
    with pytest.raises(TypeError, match="takes no arguments"):
        kind(callback=int)


def test_fields_are_of_their_types() -> None:
    callback: Any = Callback()
    with pytest.raises(TypeError, match="expected a tuple"):
        callback.args = [1]
    with pytest.raises(TypeError, match="expected a Lifetime"):
        callback.lifetime = 1
    callback.args, callback.callback, callback.lifetime = (), int, Lifetime()
    del callback.args, callback.lifetime
    with pytest.raises(AttributeError):
        callback.args  # noqa: B018
    with pytest.raises(AttributeError, match="args"):
        callback()
    with pytest.raises(AttributeError):
        Step().note = 1  # type: ignore[attr-defined]


def test_one_without_a_lifetime_runs_and_nothing_is_told() -> None:
    got: list[int] = []
    with record() as events:
        bracket(got.append, (1,))()
        with pytest.raises(ZeroDivisionError):
            bracket(divmod, (1, 0))()
    assert got == [1]
    assert events == []


def test_it_takes_no_arguments_and_gives_no_result() -> None:
    callback: Any = bracket(int, ("5",))
    with record():
        follow(callback, HANDLE)
        with pytest.raises(TypeError, match="takes no arguments"):
            callback(1)
        with pytest.raises(TypeError, match="takes no arguments"):
            callback(base=1)
        assert callback() is None


def test_it_is_copied_with_its_fields_and_attributes() -> None:
    callback: Any = bracket(int, ("5", 16))
    callback.note = "mine"
    twin_of_it: Any = copy.copy(callback)
    assert (twin_of_it.callback, twin_of_it.args, twin_of_it.note) == (int, ("5", 16), "mine")
    kind: type = type(twin_of_it)
    assert kind is Callback
    assert pickle.loads(pickle.dumps(callback)).args == ("5", 16)
    twin_of_it.note = "its own"
    assert callback.note == "mine"


def test_a_hook_may_change_its_fields_while_it_runs() -> None:
    ran: list[str] = []

    def first() -> None:
        shown.callback, shown.args = ran.append, ("second",)
        del shown.lifetime
        ran.append("first")

    shown: Any = bracket(first, ())
    with record() as events:
        follow(shown, HANDLE)
        shown()
        shown()
    assert ran == ["first", "second"]
    assert events.names(events.ids()[0]) == ["init", "before", "after", "destroy"]


def test_what_it_holds_goes_with_it_also_in_a_cycle() -> None:
    class Thing:
        """May be referred to weakly."""

    for keep in (False, True):
        thing: Any = Thing()
        reference = weakref.ref(thing)
        callback: Any = bracket(int, (thing,))
        callback.note = thing
        if keep:
            thing.kept = callback
        whole = weakref.ref(callback)
        del thing, callback
        if keep:
            gc.collect()
        assert reference() is None
        assert whole() is None


def test_it_is_found_in_what_holds_it_and_finds_what_it_holds() -> None:
    loop = uvloop.new_event_loop()
    with record():
        handle = loop.call_soon(print, "x")
        (callback,) = (r for r in gc.get_referents(handle) if type(r) is Callback)
        referents = gc.get_referents(callback)
        assert print in referents
        assert ("x",) in referents
        assert any(isinstance(one, Lifetime) for one in referents)
        handle.cancel()
    loop.close()


def test_a_callback_that_forks_goes_on_in_both_processes() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        exits: asyncio.Future[int] = loop.create_future()

        def fork() -> None:
            child = os.fork()
            if child == 0:
                gc.collect()
                os._exit(whence.execution_async_id() or 0)
            exits.set_result(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        loop.call_soon(fork)
        return await exits

    with record():
        assert run(main) == 1


def test_a_child_that_returns_into_the_callback_that_forked_is_whole() -> None:
    child = -1

    def fork() -> None:
        nonlocal child
        child = os.fork()
        if child == 0:
            gc.collect()

    with record() as events:
        callback = bracket(fork, ())
        follow(callback, READER)
        callback()
        if child == 0:
            os._exit(0 if local.state.current.async_id == 1 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        callback.callback = int
        callback()
    assert events.names(events.ids()[0]) == ["init", *["before", "after"] * 2]


@pytest.mark.parametrize("event", ["init", "before", "after", "destroy"])
def test_a_hook_that_fails_leaves_the_programs_exception_as_it_was(
    event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("the hook's own")

    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        loop.call_soon(divmod, 1, 0)
        await asyncio.sleep(0.001)

    with policy("log"), whence.create_hook(**{event: fail}):  # type: ignore[arg-type]
        run(main)
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]
    assert told[0]["exception"].__context__ is None
    assert "the hook's own" in capsys.readouterr().err
    assert whence.execution_async_id() == 1


def test_a_loop_that_cannot_say_whether_it_is_closed_says_so_itself() -> None:
    class Loop(uvloop.Loop):  # type: ignore[misc]
        def is_closed(self) -> bool:
            raise LookupError("who knows")

    loop = Loop()
    with record() as events, pytest.raises(LookupError, match="who knows"):
        loop.call_soon_threadsafe(int)
    assert events == []
    uvloop.Loop.is_closed(loop)


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("call_soon", (), {"callback": "append"}),
        ("call_soon_threadsafe", (), {"callback": "append"}),
        ("call_later", (0.001,), {"callback": "append"}),
        ("call_later", (), {"callback": "append", "delay": 0.001}),
        ("call_later", (0.001, "append"), {"context": None}),
        ("call_soon", ("append",), {"context": None}),
    ],
)
def test_arguments_may_be_named(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ran: list[int] = []

    def append() -> None:
        ran.append(whence.execution_async_id())

    async def main() -> None:
        given = [append if one == "append" else one for one in args]
        named = {name: append if one == "append" else one for name, one in kwargs.items()}
        getattr(asyncio.get_running_loop(), method)(*given, **named)
        await asyncio.sleep(0.01)

    with record() as events:
        run(main)
    assert len(ran) == 1
    assert events.names(ran[0]) == ["init", "before", "after", "destroy"]


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("call_soon", (), {}),
        ("call_soon", (int,), {"callback": int}),
        ("call_soon", (int,), {"more": 1}),
        ("call_later", (1,), {}),
        ("call_later", (1, int), {"delay": 1}),
        ("call_soon_threadsafe", (), {"context": None}),
    ],
)
def test_what_is_not_understood_is_the_loops_to_refuse(
    method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    loop = uvloop.new_event_loop()
    with pytest.raises(TypeError) as plain:
        getattr(loop, method)(*args, **kwargs)
    with record() as events, pytest.raises(TypeError) as ours:
        getattr(loop, method)(*args, **kwargs)
    assert str(ours.value) == str(plain.value)
    assert events == []
    loop.close()


def test_without_memory_nothing_is_told_and_the_program_runs_or_is_told_so() -> None:
    testcapi = pytest.importorskip("_testcapi")
    loop = uvloop.new_event_loop()
    ran: list[int] = []
    scheduled, later = [], 0
    append = ran.append
    with recorded():
        for start in range(1, 60):
            testcapi.set_nomemory(start, start + 3)
            try:
                handle = loop.call_soon(append, start)
            except MemoryError:
                handle = None
            finally:
                testcapi.remove_mem_hooks()
            if handle is not None:
                scheduled.append(start)
        for start in range(1, 60):
            loop.call_soon(append, -start)
            loop.call_soon(loop.stop)
            loop.run_forever()
            later += 1
    loop.close()
    assert [one for one in ran if one > 0] == scheduled
    assert len([one for one in ran if one < 0]) == later
    assert whence.execution_async_id() == 1
