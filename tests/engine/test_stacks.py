"""Stacks of threads, looked at from another one."""

import asyncio
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest

import whence
from whence.engine.sites import Site
from whence.engine.stacks import MAX_INNER, MAX_OUTER, Stack, look

NOWHERE = 1


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """Callbacks are bracketed."""
    whence.attach(export=("none",))
    yield
    whence.detach()


def code_of(name: str, file: str = "/srv/app.py") -> CodeType:
    code: CodeType = code_of.__code__
    return code.replace(co_name=name, co_qualname=name, co_filename=file)


class Held:
    """A loop in a thread of its own, held in `hold`, which is called where the test says."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.go_on = threading.Event()
        self.line = 0

    def hold(self) -> None:
        self.line = sys._getframe().f_lineno + 2
        self.there.set()
        self.go_on.wait(30)

    def looked_at(self, main: Callable[[], Any], loop_factory: Any = None) -> Stack:
        def run() -> None:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(main())

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert self.there.wait(30)
            assert thread.ident is not None
            stack = look(thread.ident)
        finally:
            self.go_on.set()
            thread.join(30)
        assert stack is not None
        return stack


def loops() -> list[Any]:
    factories: list[Any] = [asyncio.new_event_loop]
    try:
        import uvloop
    except ImportError:
        return factories
    return [*factories, uvloop.new_event_loop]


@pytest.mark.parametrize("loop_factory", loops())
def test_it_goes_from_what_the_loop_called_to_where_the_thread_is(loop_factory: Any) -> None:
    held = Held()

    async def inner() -> None:
        held.hold()

    async def main() -> None:
        await inner()

    stack = held.looked_at(main, loop_factory)
    names = [code.co_name for code, _ in stack.frames]
    assert names[-3:] == ["hold", "inner", "main"]
    assert stack.site == Site(__file__, held.line, "Held.hold")
    lines = str(stack).splitlines()
    assert lines[0].endswith("main"), "the innermost is the last"
    assert "whence/engine" not in str(stack)
    assert "asyncio/" not in str(stack)
    assert "runners.py" not in str(stack)


@pytest.mark.parametrize("loop_factory", loops())
def test_so_it_does_for_a_plain_callback(loop_factory: Any) -> None:
    held = Held()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(held.hold)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    stack = held.looked_at(main, loop_factory)
    assert [code.co_name for code, _ in stack.frames][-1] == "hold"
    assert stack.site is not None
    assert stack.site.line == held.line


def test_a_thread_that_is_in_no_callback_has_an_empty_one() -> None:
    stack = look(threading.get_ident())
    assert stack is not None
    assert (stack.frames, stack.site, str(stack)) == ([], None, "")


def test_there_is_none_of_a_thread_that_is_none() -> None:
    assert look(NOWHERE) is None


def test_nothing_of_the_program_is_kept() -> None:
    held = Held()

    class Local:
        pass

    refs: list[weakref.ref[Local]] = []

    async def main() -> None:
        local = Local()
        refs.append(weakref.ref(local))
        held.hold()
        del local

    stack = held.looked_at(main)
    assert refs[0]() is None
    assert {type(item) for frame in stack.frames for item in frame} == {CodeType, int}


def test_a_deep_recursion_is_told_from_both_its_ends() -> None:
    held = Held()

    def recurse(depth: int) -> None:
        if depth:
            recurse(depth - 1)
        else:
            held.hold()

    async def main() -> None:
        recurse(500)

    lines = str(held.looked_at(main)).splitlines()
    assert len(lines) == MAX_INNER + MAX_OUTER + 1
    assert lines[0].endswith("main")
    assert lines[MAX_OUTER].strip().endswith("frames left out]")
    assert any(line.endswith("Held.hold") for line in lines[-5:])


@pytest.mark.parametrize(
    ("files", "blamed"),
    [
        (["/srv/app.py"], "/srv/app.py"),
        (["{stdlib}/json/decoder.py", "/srv/app.py", "/srv/main.py"], "/srv/app.py"),
        (["{stdlib}/ssl.py", "/v/site-packages/http.py", "/srv/app.py"], "/srv/app.py"),
        (["{stdlib}/ssl.py", "/v/site-packages/http.py", "/v/site-packages/app.py"], "http.py"),
        (["{stdlib}/ssl.py", "{stdlib}/site-packages/http.py"], "http.py"),
        (["<frozen importlib>", "/usr/lib/python3/dist-packages/cli.py"], "cli.py"),
        (["{stdlib}/json/decoder.py", "{stdlib}/asyncio/streams.py"], "decoder.py"),
    ],
)
def test_to_blame_is_the_innermost_line_of_the_programs_own(files: list[str], blamed: str) -> None:
    import json

    stdlib = json.__file__.rpartition("/json/")[0]
    frames = [(code_of("f", file.format(stdlib=stdlib)), 3) for file in files]
    where = Stack(frames).site
    assert where is not None
    assert where.file.endswith(blamed)


@pytest.mark.parametrize(
    ("file", "is_one"),
    [
        ("/usr/lib/python3.12/bdb.py", True),
        ("/x/_vendored/pydevd/pydevd.py", True),
        ("/srv/mybdb.py", False),
        ("/srv/bdb.py/app.py", False),
    ],
)
def test_a_debugger_is_known_by_its_file(file: str, is_one: bool) -> None:
    assert Stack([(code_of("f"), 1), (code_of("g", file), 2)]).in_debugger is is_one
