"""What Python looks up on a class it remembers by a version; 3.13 has a thousand for each class."""

import sys

import pytest

from launching import Launcher

PROGRAM = """
import asyncio, _testcapi

import uvloop

import whence

hook = whence.create_hook(init=lambda *event: None)
classes = [uvloop.Loop, uvloop.loop.Handle, asyncio.BaseEventLoop, asyncio.SelectorEventLoop]


async def main():
    asyncio.get_running_loop().call_soon(int).cancel()


for _ in range(200):
    with hook:
        pass
    for loop in (uvloop.new_event_loop(), asyncio.new_event_loop()):
        loop.run_until_complete(main())
        loop.close()
for each in classes:
    each.call_soon if hasattr(each, "call_soon") else each.cancel
    print(each.__name__, _testcapi.type_get_version(each) != 0)
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="without such a limit")
def test_hooks_that_come_and_go_leave_the_classes_of_loops_as_fast_as_ever(
    launch: Launcher,
) -> None:
    pytest.importorskip("_testcapi")
    pytest.importorskip("uvloop")
    launch.write("program.py", PROGRAM)
    finished = launch(launch.python, "program.py")
    assert finished.err == ""
    assert finished.out.splitlines() == [
        f"{name} True" for name in ("Loop", "Handle", "BaseEventLoop", "_UnixSelectorEventLoop")
    ]
