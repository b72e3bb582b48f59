"""The instrumentations: in with the first hook, out with the last."""

import asyncio
import concurrent.futures.thread
import sys
import threading
from asyncio import base_events, base_subprocess, events, futures, selector_events, tasks
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import whence
from launching import Launcher
from telling import turns
from whence import create_hook, engine, instrumenting
from whence.testing import record

PATCHED_PLACES: tuple[Any, ...] = (
    asyncio,
    events,
    futures,
    tasks,
    base_events,
    base_events.BaseEventLoop,
    base_events.Server,
    base_subprocess.BaseSubprocessTransport,
    selector_events,
    selector_events.BaseSelectorEventLoop,
    asyncio.SelectorEventLoop,
    threading,
    threading.Thread,
    threading.Timer,
    concurrent.futures.thread,
    asyncio.Handle,
    asyncio.Task,
    asyncio.Future,
    asyncio.Protocol,
    asyncio.StreamReaderProtocol,
)


def attributes() -> list[dict[str, object]]:
    return [dict(vars(place)) for place in PATCHED_PLACES]


def changed(before: list[dict[str, object]]) -> list[str]:
    """Which attributes are not the very objects that they were."""
    return [
        f"{getattr(place, '__name__', place)}.{name}"
        for place, old, new in zip(PATCHED_PLACES, before, attributes(), strict=True)
        for name in old.keys() | new.keys()
        if old.get(name) is not new.get(name)
    ]


async def use_everything() -> None:
    """What is only patched when it is first seen, such as a protocol's class, is patched too."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    assert await reader.read() == b"x"
    writer.close()
    server.close()
    await asyncio.to_thread(int)
    timer = threading.Timer(0, int)
    timer.start()
    timer.join()


def test_the_last_hook_leaves_every_attribute_the_object_that_it_was() -> None:
    asyncio.run(use_everything())
    before = attributes()
    with create_hook(init=lambda *_: None):
        during = changed(before)
        asyncio.run(use_everything())
    assert "asyncio.events.Handle" in during
    assert "Thread.start" in during
    assert changed(before) == []
    assert not engine.instrumented()


def test_as_long_as_one_hook_is_enabled_the_instrumentations_stay() -> None:
    before = attributes()
    first, second = create_hook(init=print), create_hook(after=print)
    first.enable()
    during = attributes()
    second.enable()
    first.disable()
    assert changed(during) == []
    second.disable()
    assert changed(before) == []


def test_a_hook_without_callbacks_puts_nothing_in() -> None:
    """SEMANTICS 2.6."""
    before = attributes()
    with create_hook():
        assert changed(before) == []
        assert not engine.instrumented()


def test_what_was_made_while_a_hook_was_on_works_when_it_is_off() -> None:
    """Handles, futures and tasks that outlive the hook."""
    log: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hook = create_hook(init=lambda *_: None).enable()
        future = loop.create_future()
        loop.call_soon(log.append, "callback")
        timer = loop.call_later(0.001, log.append, "timer")
        cancelled = loop.call_soon(log.append, "cancelled")
        task = loop.create_task(turns(3))
        await turns(1)
        hook.disable()
        cancelled.cancel()
        future.add_done_callback(lambda _: log.append("future"))
        future.set_result(None)
        await future
        await task
        assert not timer.cancelled()
        await asyncio.sleep(0.005)

    asyncio.run(main())
    assert log == ["callback", "cancelled", "future", "timer"]


def test_somebody_elses_patch_on_top_of_ours_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def on_top(original: Callable[..., None]) -> Callable[..., None]:
        def start(self: threading.Thread) -> None:
            calls.append("on top")
            original(self)

        return start

    with create_hook(init=lambda *_: None):
        theirs = on_top(threading.Thread.start)
        monkeypatch.setattr(threading.Thread, "start", theirs)
    assert threading.Thread.start is theirs
    thread = threading.Thread(target=calls.append, args=("ran",))
    thread.start()
    thread.join()
    assert calls == ["on top", "ran"]


# -- what a program does not import --------------------------------------------------------------


def imported(launch: Launcher, source: str) -> set[str]:
    program = f"""
import sys
before = set(sys.modules)
{source}
print(*(set(sys.modules) - before))
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 0, finished
    return set(finished.out.split())


HEAVY = {
    "asyncio",
    "threading",
    "wrapt",
    "logging",
    "inspect",
    "dataclasses",
    "importlib.metadata",
    "opentelemetry",
    "concurrent.futures",
    "traceback",
    "socket",
}


def test_a_hook_imports_nothing_heavy_that_the_program_did_not(launch: Launcher) -> None:
    new = imported(launch, "import whence; whence.create_hook(init=lambda *_: None).enable()")
    assert new & HEAVY == set()
    assert "whence.instrumentation" not in new


def test_with_threading_alone_only_threads_are_instrumented(launch: Launcher) -> None:
    new = imported(
        launch,
        "import threading, whence; whence.create_hook(init=lambda *_: None).enable()",
    )
    assert "whence.instrumentation.threads" in new
    assert new & {"asyncio", "wrapt", "concurrent.futures"} == set()


def test_what_is_imported_after_the_hook_was_enabled_is_instrumented(launch: Launcher) -> None:
    program = """
import whence
hook = whence.create_hook(init=lambda i, type, *_: print(type)).enable()
import asyncio, threading
thread = threading.Thread(target=int)
thread.start()
thread.join()
asyncio.run(asyncio.sleep(0))
hook.disable()
assert asyncio.events.Handle.__init__ is asyncio.Handle.__init__
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 0, finished
    assert finished.out.split()[:2] == ["Thread", "Reader"]
    assert "Task" in finished.out.split()


def test_what_is_imported_after_the_last_hook_went_is_left_alone(launch: Launcher) -> None:
    program = """
import sys, whence
before = list(sys.meta_path)
with whence.create_hook(init=lambda *_: None):
    pass
assert sys.meta_path == before
import asyncio, threading
assert "whence.instrumentation" not in sys.modules
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 0, finished


# -- what goes wrong -----------------------------------------------------------------------------


class Fake(ModuleType):
    """An instrumentation of a test's own making."""

    def __init__(self, name: str, install: Callable[[Any], None]) -> None:
        super().__init__(f"whence.instrumentation.{name}")
        self.install = install


class Target:
    """What the fakes patch."""

    def method(self) -> str:
        return "original"


def state() -> str:
    return Target().method()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts fakes in place of the table."""

    def put(**installs: Callable[[Any], None]) -> None:
        for name, install in installs.items():
            fake = Fake(name, install)
            monkeypatch.setitem(sys.modules, fake.__name__, fake)
        monkeypatch.setattr(instrumenting, "INSTRUMENTATIONS", {"sys": tuple(installs)})

    yield put
    instrumenting._failures.clear()


def patch_target(patches: Any) -> None:
    patches.wrap(Target, "method", lambda wrapped, instance, args, kwargs: "patched")


def test_one_that_fails_is_left_out_whole_and_said_on_one_line(
    table: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(patches: Any) -> None:
        patch_target(patches)
        raise LookupError("no\nsuch slot")

    table(failing=fail)
    with create_hook(init=lambda *_: None):
        assert state() == "original"
    assert instrumenting.failures() == {"failing": "LookupError: no\nsuch slot"}
    said = "whence: failing is not instrumented (LookupError: no such slot)\n"
    assert capfd.readouterr().err == said


def test_the_others_go_in_all_the_same(
    table: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(patches: Any) -> None:
        raise LookupError

    table(failing=fail, working=patch_target)
    with create_hook(init=lambda *_: None):
        assert state() == "patched"
    assert state() == "original"
    assert list(instrumenting.failures()) == ["failing"]


def test_one_that_is_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(instrumenting, "INSTRUMENTATIONS", {"sys": ("no_such_module",)})
    with create_hook(init=lambda *_: None):
        pass
    assert "ModuleNotFoundError" in instrumenting.failures().pop("no_such_module")
    instrumenting._failures.clear()


def test_a_failure_is_forgotten_once_it_goes_in(
    table: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    attempts: list[int] = []

    def fail_at_first(patches: Any) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise LookupError

    table(flaky=fail_at_first)
    for expected in (["flaky"], []):
        with create_hook(init=lambda *_: None):
            assert list(instrumenting.failures()) == expected


def test_one_that_is_switched_off_is_left_out_from_the_next_time_on(
    table: Callable[..., None],
) -> None:
    table(working=patch_target)
    instrumenting.switch_off(frozenset({"working"}))
    try:
        with create_hook(init=lambda *_: None):
            assert state() == "original"
    finally:
        instrumenting.switch_off(frozenset())
    with create_hook(init=lambda *_: None):
        assert state() == "patched"


@pytest.mark.parametrize("name", ["working", "sys"])
def test_the_agent_leaves_out_what_its_user_disables_by_its_name_or_its_librarys(
    table: Callable[..., None], name: str
) -> None:
    table(working=patch_target)
    whence.attach(export="none", disable=f"{name},asyncio")
    assert (state(), state_of("working").state) == ("original", instrumenting.SWITCHED_OFF)
    whence.detach()
    whence.attach(export="none")
    assert (state(), state_of("working").state) == ("patched", instrumenting.IN)
    whence.detach()


def test_a_name_to_disable_that_nobody_has_is_said_on_one_line(
    table: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    table(working=patch_target)
    whence.attach(export="none", disable="aiohtp,working")
    whence.detach()
    assert capfd.readouterr().err == (
        "whence: --disable: expected what `whence doctor` lists as instrumented, not 'aiohtp'\n"
    )


def test_what_is_disabled_is_not_seen_and_the_rest_is(launch: Launcher) -> None:
    launch.write(
        "app.py",
        """
        import asyncio, whence

        seen = set()
        with whence.create_hook(init=lambda async_id, kind, *_: seen.add(kind)):
            asyncio.run(asyncio.sleep(0.001))
        print(sorted(seen), asyncio.Future.__module__, asyncio.futures.Future is asyncio.Future)
        """,
    )
    run = launch(
        *launch.whence, "run", "-q", "--export", "none", "--disable", "futures,callbacks", "app.py"
    )
    assert (run.out, run.err) == ("[] _asyncio True\n", "")
    env = {"WHENCE_ATTACH": "1", "WHENCE_EXPORT": "none", "WHENCE_DISABLE": "futures"}
    run = launch(launch.python, "app.py", env=env)
    assert run.out.startswith("['Handle', 'Reader', 'Task', 'TimerHandle'")


def test_one_that_enables_a_hook_while_it_goes_in_does_no_harm(
    table: Callable[..., None],
) -> None:
    seen: list[str] = []
    inner = create_hook(init=lambda i, type, *_: seen.append(type))

    def enabling(patches: Any) -> None:
        patch_target(patches)
        inner.enable()

    table(enabling=enabling)
    outer = create_hook(init=lambda *_: None).enable()
    whence.AsyncResource("X")
    outer.disable()
    assert state() == "patched"
    inner.disable()
    assert state() == "original"
    assert seen == ["X"]


# -- of other distributions ----------------------------------------------------------------------

THEIRS = """
import thelib

def install(patches):
    patches.wrap(thelib.Lib, "work", lambda wrapped, instance, args, kwargs: "seen " + wrapped())
"""


def offer(launch: Launcher, entry_points: str) -> None:
    launch.write("site/thelib.py", "class Lib:\n    def work(self):\n        return 'work'\n")
    launch.write("site/theirs.py", THEIRS)
    launch.write("site/theirs-1.0.dist-info/METADATA", "Name: theirs\nVersion: 1.0\n")
    launch.write("site/theirs-1.0.dist-info/entry_points.txt", entry_points)


PROGRAM = """
import sys, whence
sys.path.insert(0, "site")
hook = whence.create_hook(init=lambda *_: None).enable()
import asyncio
import thelib
print(thelib.Lib().work())
hook.disable()
print(thelib.Lib().work())
"""


def test_an_instrumentation_of_another_distribution_goes_in_with_its_library(
    launch: Launcher,
) -> None:
    offer(launch, "[whence.instrumentation]\nthelib = theirs\n")
    finished = launch(launch.python, "-c", PROGRAM)
    assert (finished.code, finished.out, finished.err) == (0, "seen work\nwork\n", "")


def test_one_that_cannot_be_loaded_is_said_on_one_line(launch: Launcher) -> None:
    offer(launch, "[whence.instrumentation]\nthelib = no_such_module\n")
    finished = launch(launch.python, "-c", PROGRAM)
    assert (finished.code, finished.out) == (0, "work\nwork\n")
    assert finished.err == (
        "whence: thelib is not instrumented "
        "(ModuleNotFoundError: No module named 'no_such_module')\n"
    )


def test_broken_metadata_of_others_keeps_nobody_from_importing_asyncio(launch: Launcher) -> None:
    offer(launch, "this is no entry point\n[whence.instrumentation\n=\n")
    finished = launch(launch.python, "-c", PROGRAM)
    assert (finished.code, finished.out) == (0, "work\nwork\n")
    assert finished.err.count("\n") <= 1


def test_every_instrumentation_of_the_table_goes_in(capfd: pytest.CaptureFixture[str]) -> None:
    with record():
        assert instrumenting.failures() == {}
    assert capfd.readouterr().err == ""


# -- what became of each -------------------------------------------------------------------------


def state_of(name: str) -> instrumenting.State:
    (found,) = (state for state in instrumenting.states() if state.name == name)
    return found


def test_each_says_what_it_has_patched_and_what_not_and_why(table: Callable[..., None]) -> None:
    def patch(patches: Any) -> None:
        patch_target(patches)
        patches.replace(Target, "no_such_method", print)
        patches.wrap(Target, "nor_this", print)
        patches.replace(int, "bit_length", print)

    table(mixed=patch)
    place = f"{Target.__module__}.Target"
    with create_hook(init=lambda *_: None):
        state = state_of("mixed")
    assert (state.library, state.state, state.why) == ("sys", instrumenting.IN, "")
    assert state.patched == [f"{place}.method"]
    assert state.skipped == {
        f"{place}.no_such_method": "absent",
        f"{place}.nor_this": "absent",
        "builtins.int.bit_length": "its type takes no attribute",
    }


def test_each_says_why_it_is_not_in(
    table: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(patches: Any) -> None:
        raise LookupError("no such slot")

    table(failing=fail, unwanted=patch_target)
    assert state_of("failing").state == instrumenting.WAITING
    instrumenting.switch_off(frozenset({"unwanted"}))
    try:
        with create_hook(init=lambda *_: None):
            failing, unwanted = state_of("failing"), state_of("unwanted")
    finally:
        instrumenting.switch_off(frozenset())
    assert (failing.state, failing.why) == (instrumenting.FAILED, "LookupError: no such slot")
    assert (unwanted.state, unwanted.patched) == (instrumenting.SWITCHED_OFF, [])


def test_what_a_library_hides_is_said_by_its_instrumentation(
    table: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    table(frank=patch_target)
    hidden = {"what happens in C": "nobody is told"}
    monkeypatch.setattr(
        sys.modules["whence.instrumentation.frank"], "IMPOSSIBLE", hidden, raising=False
    )
    with create_hook(init=lambda *_: None):
        assert state_of("frank").impossible == hidden
    assert state_of("frank").impossible == {}
