"""WHENCE_HANDLES=stock: handles of asyncio's own classes, followed all the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from launching import Launcher

HEAD = "import asyncio, contextlib, json, sys, whence\nfrom whence.testing import record\n"

LOOKS = f"""{HEAD}
def fail(): raise LookupError("on purpose")

async def main():
    loop = asyncio.get_running_loop()
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    for handle in (loop.call_soon(print, 1), loop.call_later(1000, print, 2, 3)):
        told += [type(handle).__mro__[0] in (asyncio.Handle, asyncio.TimerHandle)]
        told += [handle._callback is print, handle._args == tuple(handle._args), list(handle._args)]
        told += [repr(handle).partition(" when=")[0], handle.cancelled()]
        handle.cancel()
        told += [handle._callback, handle._args, repr(handle).partition(" when=")[0]]
        told += [handle.cancelled()]
    failing = loop.call_soon(fail)
    await asyncio.sleep(0)
    told += [repr(failing).replace("at " + __file__, "")]
    return told

with record() if sys.argv[1] == "followed" else contextlib.nullcontext():
    print(json.dumps(asyncio.run(main())))
"""

LIVES = f"""{HEAD}
import os, signal, socket
log = []

async def main():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    async def use():
        handle = loop.call_soon(lambda: log.append(whence.execution_async_resource() is handle))
        timer = loop.call_later(0, lambda: log.append(whence.execution_async_resource() is timer))
        loop.call_later(1000, int).cancel()
        loop.call_soon(int).cancel()
        loop.add_reader(ours, lambda: loop.remove_reader(ours))
        loop.add_signal_handler(signal.SIGUSR1, int)
        theirs.send(b"x")
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.01)
        loop.remove_signal_handler(signal.SIGUSR1)
    await asyncio.create_task(use())
    ours.close()
    theirs.close()

with record() as events:
    asyncio.run(main())
kinds = {{e[1]: e[2] for e in events if e[0] == "init"}}
lives = sorted(
    " ".join([kinds[i], *(n for n in events.names(i) if n != "init")]) for i in kinds
)
print(json.dumps([lives, log, kinds != {{}}]))
"""


@pytest.fixture
def in_python(launch: Launcher, tmp_path: Path) -> Any:
    """Runs a program with these handles, and gives what it has printed as JSON."""

    def run(source: str, *words: str, handles: str = "stock") -> Any:
        path = tmp_path / "program.py"
        path.write_text(source)
        ran = launch(launch.python, str(path), *words, env={"WHENCE_HANDLES": handles})
        assert (ran.code, ran.err) == (0, ""), ran.err
        return ran.json

    return run


def test_they_look_as_without_whence(in_python: Any) -> None:
    assert in_python(LOOKS, "followed") == in_python(LOOKS, "alone")


def test_their_lives_are_those_of_handles_of_our_classes(in_python: Any) -> None:
    stock, tracked = in_python(LIVES), in_python(LIVES, handles="tracked")
    assert stock == tracked
    assert stock[1] == [True, True]
    assert "TimerHandle destroy" in stock[0]
    assert any(life.startswith("SignalHandle before after") for life in stock[0])
    assert any(life.startswith("Reader before after") for life in stock[0])


def test_everything_is_asyncios_own_again_when_the_last_hook_goes(in_python: Any) -> None:
    program = f"""{HEAD}
from asyncio import events
before = [dict(vars(cls)) for cls in (events.Handle, events.TimerHandle)]
with record():
    changed = [dict(vars(cls)) for cls in (events.Handle, events.TimerHandle)]
after = [dict(vars(cls)) for cls in (events.Handle, events.TimerHandle)]
print(json.dumps([before == after, before == changed]))
"""
    assert in_python(program) == [True, False]


def test_one_made_while_followed_runs_when_nobody_follows_any_more(in_python: Any) -> None:
    program = f"""{HEAD}
ran = []
async def main():
    loop = asyncio.get_running_loop()
    with record():
        loop.call_soon(ran.append, "soon")
        loop.call_later(0, ran.append, "later").when()
        loop.call_later(1000, ran.append, "never").cancel()
    await asyncio.sleep(0.01)
asyncio.run(main())
print(json.dumps(ran))
"""
    assert in_python(program) == ["soon", "later"]


def test_classes_that_the_program_derives_are_followed_too(in_python: Any) -> None:
    program = f"""{HEAD}
class Mine(asyncio.Handle):
    __slots__ = ()
async def main():
    loop = asyncio.get_running_loop()
    with record() as events:
        Mine(print, (), loop)._run()
        broken = asyncio.Handle.__new__(asyncio.Handle)
        for use in (broken._run, broken.cancel):
            try: use()
            except AttributeError: pass
    return [e[0] for e in events if e[1] == events.ids("Handle")[0]]
import io
with contextlib.redirect_stdout(io.StringIO()):
    told = asyncio.run(main())
print(json.dumps(told))
"""
    assert in_python(program) == ["init", "before", "after", "destroy"]


def test_another_value_is_one_line_and_the_default_is_used(launch: Launcher) -> None:
    program = "from whence.engine import handle_classes; print(handle_classes.keeps_stock)"
    words = ("-m", "whence", "run", "-q", "--export", "none", launch.python, "-c", program)
    ran = launch(launch.python, *words, env={"WHENCE_HANDLES": "fast"})
    assert ran.out == "False\n"
    assert ran.err == (
        "whence: WHENCE_HANDLES: expected tracked or stock, not 'fast'; tracked is used\n"
    )


def test_the_doctor_says_whose_they_are(launch: Launcher) -> None:
    words = ("-m", "whence", "doctor", "--json", "--export", "none")
    report = json.loads(launch(launch.python, *words, env={"WHENCE_HANDLES": "stock"}).out)
    assert report["engine"]["handles"] == "stock"
    assert not [found for found in report["findings"] if "handle" in found["what"].lower()]
