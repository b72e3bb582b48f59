"""Sites found by walking the interpreter's frames are those that Python's frames have."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import CodeType
from typing import Any

import pytest

from telling import recorded
from whence import AsyncResource
from whence.engine import create, local, open_lifetimes, sites, twin
from whence.engine.resource_types import type_named

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

from whence._engine import forget_files, place_outside, place_up

Place = tuple[CodeType | None, int]

ROW = type_named("Sited")


def frames() -> list[Place]:
    """Where each of our callers is, as Python's frames have it."""
    found: list[Place] = []
    frame = sys._getframe(1)
    while frame is not None:
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return found


def both(up: int = 0) -> tuple[Place, Place]:
    """The same place twice, but for the instruction in the caller, where two are called."""
    return place_up(up + 1), frames()[up + 1]


def test_each_frame_of_the_stack_is_found_in_order() -> None:
    def deep(levels: int) -> None:
        if levels:
            return deep(levels - 1)
        known = frames()
        for up in range(1, len(known)):
            assert place_up(up) == known[up]
        assert place_up(0)[0] is known[0][0]

    deep(20)


def test_where_there_are_not_as_many_frames_it_is_the_innermost() -> None:
    assert place_up(10_000)[0] is sys._getframe().f_code
    found: list[Place] = []
    thread = threading.Thread(target=lambda: found.append(place_up(10_000)))
    thread.start()
    thread.join()
    assert found[0][0] is not None
    assert found[0][0].co_name == "<lambda>"


def generator() -> Generator[tuple[Place, Place], None, None]:
    yield both()
    yield both()


async def coroutine() -> tuple[Place, Place]:
    await asyncio.sleep(0)
    return both()


def in_comprehension() -> list[tuple[Place, Place]]:
    return [both() for _ in range(2)]


def in_sort() -> list[tuple[Place, Place]]:
    """Called by C in between."""
    found: list[tuple[Place, Place]] = []

    def key(item: int) -> int:
        found.append(both(1))
        return item

    sorted([2, 1], key=key)
    return found


class InInit:
    def __init__(self) -> None:
        self.found = both()


class InDel:
    found: list[tuple[Place, Place]]

    def __init__(self, found: list[tuple[Place, Place]]) -> None:
        self.found = found

    def __del__(self) -> None:
        self.found.append(both())


class InProperty:
    @property
    def found(self) -> tuple[Place, Place]:
        return both()

    def __getattr__(self, name: str) -> tuple[Place, Place]:
        return both()


def dropped() -> list[tuple[Place, Place]]:
    found: list[tuple[Place, Place]] = []
    InDel(found)
    return found


def in_handler() -> tuple[Place, Place]:
    try:
        raise LookupError
    except LookupError:
        with open(__file__, encoding="utf-8"):
            return both()


def in_class() -> tuple[Place, Place]:
    class Body:
        found = both()

    return Body.found


@pytest.mark.parametrize(
    "made",
    [
        lambda: list(generator()),
        lambda: [asyncio.run(coroutine())],
        in_comprehension,
        in_sort,
        lambda: [InInit().found],
        lambda: [InProperty().found, InProperty().other],
        dropped,
        lambda: [in_handler()],
        lambda: [in_class()],
        lambda: [eval("both()")],
    ],
    ids=[
        "generator",
        "coroutine",
        "comprehension",
        "sort",
        "init",
        "property",
        "del",
        "handler",
        "class",
        "eval",
    ],
)
def test_whatever_kind_of_code_runs_its_place_is_found(
    made: Callable[[], list[tuple[Place, Place]]],
) -> None:
    for in_c, in_python in made():
        assert in_c == in_python
        assert in_c[0] is not None


def test_under_a_tracing_function_too() -> None:
    seen: list[bool] = []

    def trace(frame: Any, event: str, argument: object) -> Any:
        frames_here = frames()
        seen.append(place_up(1) == frames_here[1])
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        list(generator())
    finally:
        sys.settrace(before)
    assert len(seen) > 5
    assert all(seen)


def outside_in_python() -> Place:
    return sites.outside(sys._getframe(1))


def compiled(source: str, file: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"place_outside": place_outside, "outside": outside_in_python}
    exec(compile(source, file, "exec"), namespace)
    return namespace


TWO = "def both(): return place_outside(), outside()"


@pytest.mark.parametrize("file", ["<string>", "", "program.py", asyncio.tasks.__file__])
def test_the_programs_place_is_the_one_that_python_finds(file: str) -> None:
    in_c, in_python = compiled(TWO, file)["both"]()
    assert in_c[0] is in_python[0]
    if in_c[0] is sys._getframe().f_code:
        assert in_c == in_python


@pytest.mark.parametrize("name", ["_run", "_run_once", "run_forever"])
@pytest.mark.parametrize("interned", [True, False])
def test_beyond_what_runs_callbacks_nothing_is_looked_for(name: str, interned: bool) -> None:
    function = compiled(TWO, asyncio.tasks.__file__)["both"]
    called = name if interned else "".join(list(name))
    function.__code__ = function.__code__.replace(co_name=called)
    in_c, in_python = function()
    assert in_c == in_python == (None, 0)


def test_whose_a_file_is_is_asked_anew_when_folders_are_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = compiled(TWO, "/nowhere/loops/loop.py")["both"]
    assert function()[0][0] is function.__code__
    monkeypatch.setattr(sites, "_plumbing", sites._plumbing)
    sites.add_plumbing("/nowhere/loops")
    try:
        assert function()[0][0] is sys._getframe().f_code
    finally:
        monkeypatch.undo()
        sites.known.clear()
        forget_files()
    assert function()[0][0] is function.__code__


def test_files_without_end_are_told_apart() -> None:
    """More than are remembered at once, and names that come and go at one address."""
    for number in range(5000):
        plumbing = number % 2 == 0
        folder = asyncio.__path__[0] if plumbing else "/program"
        function = compiled(TWO, f"{folder}/made_up_{number}.py")["both"]
        found, _ = function()[0]
        assert (found is function.__code__) is not plumbing


class HostileName(str):
    """A file name that has its own ideas."""

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")


def test_a_file_name_of_the_programs_making_is_not_asked() -> None:
    function = compiled(TWO, "program.py")["both"]
    try:
        function.__code__ = function.__code__.replace(co_filename=HostileName("hostile.py"))
    except TypeError:
        pytest.skip("this Python takes no such name")
    assert place_outside()[0] is sys._getframe().f_code
    function = compiled("def here(): return place_outside()", "program.py")["here"]
    function.__code__ = function.__code__.replace(co_filename=HostileName("hostile.py"))
    assert function()[0] is function.__code__


@pytest.fixture
def recording() -> Iterator[None]:
    with recorded():
        yield


@pytest.mark.usefixtures("recording")
def test_who_creates_through_python_gives_the_same_depth_with_both_engines() -> None:
    def made(depth: int) -> Place:
        state = local.state
        lifetime: Any = create(state, ROW, None, state.current, depth)
        open_lifetimes.pop(lifetime.async_id)
        return lifetime.code, lifetime.lasti

    def outer(depth: int) -> Place:
        return made(depth)

    assert outer(1)[0] is made.__code__
    assert outer(2)[0] is outer.__code__
    assert outer(3)[0] is sys._getframe().f_code
    assert outer(3)[1] < sys._getframe().f_lasti


@pytest.mark.usefixtures("recording")
def test_what_a_loop_creates_has_the_site_of_its_trigger() -> None:
    """A future's callback is scheduled by the loop, which the program did not ask to."""
    found: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.add_done_callback(lambda _: found.append(local.state.current))
        loop.call_later(0, future.set_result, None)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert found[0].code is main.__code__


def coroutine_in_thread(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Any:
    return run(coroutine())


def test_in_other_threads_as_in_the_main_thread() -> None:
    found: list[tuple[Place, Place]] = []
    threads = [
        threading.Thread(target=lambda: found.append(coroutine_in_thread(asyncio.run)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(in_c == in_python for in_c, in_python in found)


def test_a_resource_of_the_programs_is_sited_where_it_is_made() -> None:
    with recorded():
        resource = AsyncResource("Sited")
        lifetime: Any = open_lifetimes[resource.async_id()]
        assert lifetime.code is sys._getframe().f_code
        resource.emit_destroy()
