"""uvloop imported while a hook is enabled, and while none is."""

from launching import Launcher

PROGRAM = """
import asyncio, sys

import whence

if "later" not in sys.argv:
    import uvloop

hook = whence.create_hook(init=lambda *event: events.append(event[1])).enable()
events = []

import uvloop
from uvloop import loop as sealed


class Mine(uvloop.Loop):
    pass


async def main():
    loop = asyncio.get_running_loop()
    task = loop.create_task(asyncio.sleep(0))
    print(type(task), type(loop.create_future()), sealed._SyncSocketReaderFuture.__mro__)
    await task


def run():
    loop = Mine()
    loop.run_until_complete(main())
    loop.close()


run()
print(sorted(events))
print(asyncio.Future.__dict__.get("_stands_for") is not None)
hook.disable()
events.clear()
run()
print(events, asyncio.Future, asyncio.Task, asyncio._set_running_loop)
"""


def test_when_it_is_imported_makes_no_difference(launch: Launcher) -> None:
    launch.write("program.py", PROGRAM)
    said = [launch(launch.python, "program.py", *arguments) for arguments in ([], ["later"])]
    assert [finished.err for finished in said] == ["", ""]
    first, later = (finished.out for finished in said)
    assert later == first
    during, names, stands, afterwards, after = first.strip().splitlines()
    assert "_SyncSocketReaderFuture" in during
    assert "whence" not in during + afterwards
    assert {"'Future'", "'Task'"} <= set(names.strip("[]").split(", "))
    assert stands == "True"
    assert after == (
        "[] <class '_asyncio.Future'> <class '_asyncio.Task'> <built-in function _set_running_loop>"
    )
