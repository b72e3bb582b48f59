"""Where in the program's own code something was created."""

import asyncio
import contextlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import whence
from telling import recorded
from whence.engine import Site, sites
from whence.engine.sites import (
    MAX_FILES,
    PLUMBING,
    PROGRAM,
    is_ours,
    leave_traceback,
    outside,
    site,
    whose,
)

HERE = __file__


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """Whose each file is, asked anew."""
    sites.known.clear()
    yield
    sites.known.clear()


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        (HERE, PROGRAM),
        ("<string>", PROGRAM),
        ("<stdin>", PROGRAM),
        (json.__file__, PROGRAM),
        (asyncio.__file__, PLUMBING),
        (asyncio.tasks.__file__, PLUMBING),
        (threading.__file__, PLUMBING),
        (contextlib.__file__, PLUMBING),
        ("<frozen importlib._bootstrap>", PLUMBING),
        (whence.__file__, PLUMBING),
        (sites.__file__, PLUMBING),
        ("", PROGRAM),
    ],
)
def test_whose_code_a_file_is(file: str, answer: str) -> None:
    """The standard library is the program's own, but for what stands between it and a loop."""
    assert whose(file) is answer
    assert whose(file) is answer


def test_a_program_that_makes_up_file_names_does_not_make_the_table_grow_without_end() -> None:
    for number in range(MAX_FILES + 10):
        whose(f"<made up {number}>")
    assert len(sites.known) <= MAX_FILES
    assert whose(asyncio.__file__) is PLUMBING


def line_of(marker: str) -> int:
    with open(HERE, encoding="utf-8") as file:
        (line,) = (n for n, text in enumerate(file, 1) if text.rstrip().endswith(f"# {marker}"))
    return line


def here() -> tuple[CodeType, int]:
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti


def test_a_site_is_a_file_a_line_and_a_function() -> None:
    found = site(*here())  # the site itself
    assert found == Site(HERE, line_of("the site itself"), here()[0].co_qualname)
    assert str(found) == f"{HERE}:{line_of('the site itself')}"


def test_a_site_in_a_call_of_many_lines_and_in_a_method() -> None:
    class Shop:
        def checkout(self) -> Site | None:
            return site(
                *here(),  # inside the call
            )

    found = Shop().checkout()
    assert found is not None
    assert found.function.endswith("Shop.checkout")
    assert line_of("inside the call") - 1 <= found.line <= line_of("inside the call")


def test_without_a_code_there_is_no_site() -> None:
    assert site(None, 0) is None


def test_an_offset_that_no_line_has_is_that_of_the_function() -> None:
    code = line_of.__code__
    found = site(code, 10**6)
    assert found is not None
    assert found.line == code.co_firstlineno


def test_code_without_lines_has_a_site_too() -> None:
    code = compile("x = 1", "<made>", "exec").replace(co_linetable=b"")
    assert site(code, 0) == Site("<made>", 1, "<module>")


def test_the_search_ends_at_the_programs_code_or_where_the_loop_runs() -> None:
    """What started the loop created nothing of what the loop's callbacks do."""
    found: list[Any] = []
    namespace: dict[str, Any] = {"outside": outside, "sys": sys, "found": found}
    source = "def callback(): found.append(outside(sys._getframe()))"
    plumbing = os.path.join(os.path.dirname(asyncio.__file__), "made_up.py")
    exec(compile(source, plumbing, "exec"), namespace)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(namespace["callback"])
        await asyncio.sleep(0)

    asyncio.run(main())
    namespace["callback"]()
    (in_loop, _), (called, _) = found
    assert in_loop is None
    assert called is here()[0]


def test_what_the_program_creates_is_sited_where_it_does() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found: list[int | None] = []

        def init(async_id: int, *_: object) -> None:
            lifetime = whence.engine.open_lifetimes.get(async_id)
            where = None if lifetime is None else site(lifetime.code, lifetime.lasti)
            found.append(where.line if where is not None and where.file == HERE else None)

        with whence.create_hook(init=init):
            loop.call_soon(int)  # call_soon
            loop.call_later(0, int)  # call_later
            loop.call_at(loop.time(), int)  # call_at
            loop.create_future().cancel()  # create_future
            direct: asyncio.Future[None] = asyncio.Future()  # direct future
            task = asyncio.create_task(asyncio.sleep(0))  # create_task
            ensured = asyncio.ensure_future(asyncio.sleep(0))  # ensure_future
            whence.AsyncResource("X")  # resource
            whence.AsyncResource.bind_function(int)  # bound
        assert found == [
            line_of(marker)
            for marker in (
                "call_soon",
                "call_later",
                "call_at",
                "create_future",
                "direct future",
                "create_task",
                "ensure_future",
                "resource",
                "bound",
            )
        ]
        direct.cancel()
        await task
        await ensured

    with recorded():
        asyncio.run(main())


def codes(error: BaseException) -> list[CodeType]:
    return [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]


def test_a_traceback_loses_its_outer_frames_of_ours_and_no_other() -> None:
    def fail() -> None:
        raise LookupError

    resource = whence.AsyncResource("X")
    try:
        resource.run_in_async_scope(fail)
    except LookupError as error:
        caught = error
    assert codes(caught)[0] is here()[0]
    caught.__traceback__ = caught.__traceback__ and caught.__traceback__.tb_next
    assert len(codes(caught)) > 1
    leave_traceback(caught)
    assert codes(caught) == [fail.__code__]
    leave_traceback(caught)
    assert codes(caught) == [fail.__code__]
    leave_traceback(LookupError())


def test_which_code_is_ours() -> None:
    assert is_ours(whence.create_hook.__code__)
    assert is_ours(outside.__code__)
    assert not is_ours(test_which_code_is_ours.__code__)
    assert not is_ours(asyncio.run.__code__)


def test_the_examples_of_an_installed_whence_are_programs_like_any_other() -> None:
    agent = Path(sites.__file__).parent.parent
    assert is_ours(compile("", str(agent / "engine" / "x.py"), "exec"))
    example = compile("", str(agent / "examples" / "x.py"), "exec")
    assert not is_ours(example)
    assert whose(example.co_filename) is PROGRAM
