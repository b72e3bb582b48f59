"""Hook callbacks that raise: SEMANTICS 4."""

import asyncio
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import whence
from launching import Finished, Launcher
from living import EVERY_EVENT, live, start
from telling import policy, run_followed, told
from whence import AsyncHook, AsyncResource, create_hook
from whence.engine import hook_error_policy, local
from whence.testing import record


def boom(*_: object) -> None:
    raise ValueError("boom")


@pytest.fixture
def log_policy() -> Iterator[None]:
    with policy("log"):
        yield


class EqualsAnything(str):
    """What the program may think up."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True


def test_the_policy_is_one_of_two() -> None:
    """SEMANTICS 4.7."""
    wrong: Any
    for wrong in ("ignore", "", None, [], "EXIT", EqualsAnything("log in")):
        with pytest.raises(ValueError, match=r"^expected the hook error policy"):
            whence.set_hook_error_policy(wrong)
    assert hook_error_policy() == "exit"


def test_the_policy_may_be_changed_while_a_hook_is_enabled(log_policy: None) -> None:
    """SEMANTICS 4.7."""
    with create_hook(init=boom):
        AsyncResource("X")
        whence.set_hook_error_policy("exit")
        assert hook_error_policy() == "exit"
        whence.set_hook_error_policy("log")
        AsyncResource("X")


@pytest.mark.parametrize(("kind", "event"), EVERY_EVENT)
def test_under_log_everything_else_goes_on(
    log_policy: None, capsys: pytest.CaptureFixture[str], kind: str, event: str
) -> None:
    """SEMANTICS 4.6."""

    async def main(failing: AsyncHook | None) -> list[str]:
        outer = whence.execution_async_id()
        with record() as events:
            if failing is not None:
                failing.enable()
            with record() as later:
                await live(kind)
            if failing is not None:
                failing.disable()
            assert whence.execution_async_id() == outer
            assert local.state.depth == 0
        async_id = events.ids(kind)[0]
        assert later == events
        return told(events.of(async_id), x=async_id, main=outer)

    async def with_failing_hook() -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda _, c: loop_errors.append(c))
        return await main(create_hook({event: boom}))

    loop_errors: list[Any] = []
    untouched = run_followed(main(None))
    assert run_followed(with_failing_hook()) == untouched
    assert loop_errors == []
    written = capsys.readouterr().err
    assert written.startswith("whence: a hook callback raised:\nTraceback (most recent call last)")
    assert written.rstrip().endswith("ValueError: boom")


def test_under_log_the_failing_hook_stays_enabled(
    log_policy: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """SEMANTICS 4.6."""
    with create_hook(init=boom):
        AsyncResource("X")
        AsyncResource("Y")
    assert capsys.readouterr().err.count("ValueError: boom") == 2


def test_a_change_of_hooks_made_before_the_callback_raised_takes_effect(
    log_policy: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """SEMANTICS 3.8."""
    seen: list[str] = []
    late = create_hook(init=lambda i, type, *_: seen.append(type))

    def init(async_id: int, type: str, *_: object) -> None:
        if type == "X":
            late.enable()
            raise LookupError

    with create_hook(init=init):
        AsyncResource("X")
        AsyncResource("Y")
        late.disable()
    assert seen == ["Y"]
    assert "LookupError" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["AsyncResource", "Handle", "TimerHandle", "Future"])
def test_a_hook_that_recurses_without_end_leaves_the_depth_as_it_was(
    log_policy: None, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """SEMANTICS 3.8, also where there is no stack left to deal with the error."""
    seen: list[str] = []

    async def main() -> None:
        def init(async_id: int, type: str, *_: object) -> None:
            if type == kind:
                start_anything(kind)

        with create_hook(init=init):
            start_anything(kind)
        assert local.state.depth == 0
        with create_hook(init=lambda i, type, *_: seen.append(type)):
            AsyncResource("X")
        AsyncResource("Y")

    asyncio.run(main())
    assert seen == ["X"]
    assert "RecursionError" in capsys.readouterr().err


def start_anything(kind: str) -> None:
    loop = asyncio.get_running_loop()
    if kind == "Future":
        loop.create_future()
    else:
        start(kind, int)


def test_at_the_recursion_limit_the_ids_are_restored(
    log_policy: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """SEMANTICS 1.8, 1.9."""
    resource = AsyncResource("X")

    def deeper() -> None:
        resource.run_in_async_scope(deeper)

    with record() as events, pytest.raises(RecursionError):
        deeper()
    assert (whence.execution_async_id(), whence.trigger_async_id()) == (1, 0)
    assert events.names(resource.async_id()).count("before") > 50
    assert local.state.depth == 0


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


def test_an_error_that_cannot_be_shown_is_logged_all_the_same(
    log_policy: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise Unprintable

    with create_hook(init=fail):
        AsyncResource("X")
    assert "Unprintable: <exception str() failed>" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", [None, "closed", object()], ids=["none", "closed", "strange"])
def test_under_log_a_stderr_that_cannot_be_written_to_does_no_harm(
    log_policy: None, monkeypatch: pytest.MonkeyPatch, stderr: object
) -> None:
    if stderr == "closed":
        stderr = io.StringIO()
        stderr.close()
    with monkeypatch.context() as patched, create_hook(init=boom):
        patched.setattr(sys, "stderr", stderr)
        resource = AsyncResource("X")
        result = resource.run_in_async_scope(lambda: "went on")
    assert result == "went on"


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
def test_under_log_any_exception_of_a_hook_stays_with_the_hook(
    log_policy: None, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """SEMANTICS 4.6: a hook does not end the program by SystemExit either."""

    def fail(*_: object) -> None:
        raise error

    with create_hook(init=fail, before=fail, after=fail, destroy=fail, promise_resolve=fail):
        asyncio.run(live("Task"))
    assert type(error).__name__ in capsys.readouterr().err


def test_under_log_ctrl_c_while_a_hook_runs_is_the_programs_to_handle(log_policy: None) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def program() -> None:
        with create_hook(init=interrupted):
            AsyncResource("X")
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        program()
    assert local.state.depth == 0


def test_the_errors_of_the_program_are_not_the_hooks() -> None:
    """SEMANTICS 4.8."""

    def fail() -> None:
        raise LookupError("the program's")

    with record(), pytest.raises(LookupError):
        AsyncResource("X").run_in_async_scope(fail)


LIFE = {
    "AsyncResource": """
        resource = whence.AsyncResource("AsyncResource")
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    """,
    "Handle": "loop.call_soon(int)",
    "TimerHandle": "loop.call_later(0, int)",
    "Future": "loop.create_future().set_result(None)",
    "Task": "loop.create_task(asyncio.sleep(0))",
}

FAILING = """
import asyncio, atexit, sys, threading, whence

atexit.register(lambda: print("atexit"))
print("not flushed yet", end=", ")
kinds = {{}}

def fail(*event):
    if kinds.get(event[0]) == {kind!r}:
        raise ValueError("boom")

def init(async_id, type, *rest):
    kinds[async_id] = type
    if {event!r} == "init":
        fail(async_id)

def caught(what, *_):
    sys.stderr.write(f"{{what}} saw it\\n")

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: caught("the exception handler"))
    try:
        {life}
        for _ in range(9):
            await asyncio.sleep(0.001)
    except BaseException:
        caught("the program")
    finally:
        caught("a finally")
        return

whence.create_hook({{"init": init, {event!r}: init if {event!r} == "init" else fail}}).enable()
heard = []

def later(*event):
    if kinds.get(event[0]) == {kind!r}:
        caught("a later hook")

whence.create_hook({event}=later).enable()
asyncio.run(main())
print("went on")
"""


def ends(finished: Finished) -> None:
    """The one way in which a failing hook ends the process."""
    assert finished.code == 1, finished
    assert finished.out == "not flushed yet, atexit\n"
    assert "Traceback (most recent call last)" in finished.err
    assert finished.err.rstrip().endswith("ValueError: boom")
    assert " saw it" not in finished.err


@pytest.mark.parametrize(("kind", "event"), EVERY_EVENT)
def test_a_failing_callback_ends_the_process_from_within_a_loop(
    launch: Launcher, kind: str, event: str
) -> None:
    """SEMANTICS 4.1 to 4.4."""
    life = LIFE[kind].strip()
    source = FAILING.format(kind=kind, event=event, life=life)
    ends(launch(launch.python, "-c", source))


def program(launch: Launcher, source: str) -> Finished:
    start = """
import atexit, gc, sys, threading, time, whence

atexit.register(lambda: print("atexit"))
print("not flushed yet", end=", ")

def boom(*_):
    raise ValueError("boom")
"""
    return launch(launch.python, launch.write("program.py", start + source))


def test_without_a_loop_the_program_cannot_catch_it(launch: Launcher) -> None:
    """SEMANTICS 4.3."""
    ends(
        program(
            launch,
            """
def work():
    try:
        whence.AsyncResource("X")
    except BaseException:
        print("caught")
    finally:
        return

whence.create_hook(init=boom).enable()
work()
print("went on")
""",
        )
    )


def test_a_failing_destroy_of_a_collected_resource_ends_the_process(launch: Launcher) -> None:
    """SEMANTICS 4.5."""
    ends(
        program(
            launch,
            """
whence.create_hook(destroy=boom).enable()
whence.AsyncResource("X")
whence.AsyncResource("Y")
print("went on")
""",
        )
    )


def test_a_callback_that_fails_at_exit_makes_the_exit_code_one(launch: Launcher) -> None:
    """SEMANTICS 4.5: what is only delivered at exit."""
    finished = program(
        launch,
        """
whence.create_hook(destroy=boom).enable()
whence.AsyncResource("X")
""",
    )
    assert finished.code == 1
    assert finished.err.rstrip().endswith("ValueError: boom")


def test_a_failing_callback_in_another_thread_ends_the_process(launch: Launcher) -> None:
    """SEMANTICS 4.1."""
    ends(
        program(
            launch,
            """
whence.create_hook(before=boom).enable()
thread = threading.Thread(target=print, args=("went on",))
thread.start()
thread.join()
time.sleep(60)
""",
        )
    )


def test_exit_handlers_that_make_resources_run_once_and_to_their_end(launch: Launcher) -> None:
    """SEMANTICS 4.1: whatever the hook would do with them."""
    finished = program(
        launch,
        """
@atexit.register
def tidy_up():
    whence.AsyncResource("AT EXIT")
    with whence.create_hook(init=boom):
        whence.AsyncResource("AT EXIT")
    print("tidied up", end=", ")

whence.create_hook(init=boom).enable()
whence.AsyncResource("X")
""",
    )
    assert finished.code == 1
    assert finished.out == "not flushed yet, tidied up, atexit\n"
    assert finished.err.count("Traceback") == 1


def test_a_hook_that_fails_in_another_thread_meanwhile_cuts_no_exit_handler_short(
    launch: Launcher,
) -> None:
    """SEMANTICS 4.1."""
    finished = program(
        launch,
        """
inside, go_on = threading.Event(), threading.Event()

def fail(async_id, type, *_):
    if type == "LATE":
        inside.set()
        go_on.wait()
    raise ValueError(type)

@atexit.register
def tidy_up():
    go_on.set()
    thread.join()
    print("tidied up", end=", ")

def work():
    enabled.wait()
    whence.AsyncResource("LATE")

enabled = threading.Event()
thread = threading.Thread(target=work, daemon=True)
thread.start()
whence.create_hook(init=fail).enable()
enabled.set()
inside.wait()
whence.AsyncResource("FIRST")
""",
    )
    assert finished.code == 1
    assert finished.out == "not flushed yet, tidied up, atexit\n"
    assert finished.err.index("ValueError: FIRST") < finished.err.index("ValueError: LATE")


@pytest.mark.parametrize(
    "breaking",
    [
        "sys.stdout.close()",
        "sys.stderr.close()",
        "sys.stdout = sys.stderr = None",
        "sys.stdout = sys.stderr = object()",
        "atexit.register(lambda: sys.exit(7))",
        "atexit.register(boom)",
    ],
)
def test_the_process_ends_whatever_state_its_streams_and_handlers_are_in(
    launch: Launcher, breaking: str
) -> None:
    """SEMANTICS 4.1, 4.3."""
    finished = program(
        launch,
        f"""
{breaking}
whence.create_hook(init=boom).enable()
try:
    whence.AsyncResource("X")
finally:
    time.sleep(60)
""",
    )
    assert finished.code == 1


def test_hooks_that_fail_in_many_threads_at_once_end_the_process_once(launch: Launcher) -> None:
    """SEMANTICS 4.1."""
    finished = program(
        launch,
        """
barrier = threading.Barrier(9)

def work():
    barrier.wait()
    whence.AsyncResource("X")

threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
whence.create_hook(init=boom).enable()
barrier.wait()
for thread in threads:
    thread.join()
time.sleep(60)
""",
    )
    assert finished.code == 1
    assert finished.out == "not flushed yet, atexit\n"


def test_the_programs_own_errors_do_not_end_it_so(launch: Launcher) -> None:
    """SEMANTICS 4.8."""
    finished = program(
        launch,
        """
def fail():
    raise LookupError

whence.create_hook(init=lambda *_: None, after=lambda _: None).enable()
try:
    whence.AsyncResource("X").run_in_async_scope(fail)
except LookupError:
    print("caught")
sys.exit(3)
""",
    )
    assert (finished.code, finished.out) == (3, "not flushed yet, caught\natexit\n")
