"""A forked child begins anew."""

import os
import sys

import pytest

from launching import Launcher

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork"),
    pytest.mark.skipif(sys.platform == "darwin", reason="its frameworks do not survive a fork"),
]

START = """
import asyncio, os, sys, threading, warnings
warnings.simplefilter("ignore")
import whence
from whence import engine

def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        finally:
            sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    sys.stdout.flush()

def ids():
    return whence.execution_async_id(), whence.trigger_async_id()
"""


def output(launch: Launcher, program: str) -> list[str]:
    finished = launch(launch.python, launch.write("program.py", START + program))
    assert (finished.code, finished.err) == (0, "")
    return finished.out.splitlines()


def test_it_is_at_the_top_level_whatever_the_parent_was_executing(launch: Launcher) -> None:
    """SEMANTICS 1.3, 9.1."""
    program = """
def work():
    print(*ids(), type(whence.execution_async_resource()).__name__)

resource = whence.AsyncResource("X")
resource.run_in_async_scope(fork, work)
resource.run_in_async_scope(lambda: print(ids() == (resource.async_id(), 1)))
print(*ids())
"""
    assert output(launch, program) == ["1 0 TopLevelResource", "True", "1 0"]


def test_so_it_is_when_another_thread_forks(launch: Launcher) -> None:
    """SEMANTICS 1.3: the thread that forked is the child's main thread."""
    program = """
thread = threading.Thread(target=fork, args=(lambda: print(*ids()),))
with whence.create_hook(init=lambda *_: None):
    thread.start()
    thread.join()
"""
    assert output(launch, program) == ["1 0"]


def test_its_hooks_are_those_of_the_parent(launch: Launcher) -> None:
    program = """
seen = []

def work():
    seen.clear()
    asyncio.run(asyncio.sleep(0))
    print("Task" in seen, "Handle" in seen)
    hook.disable()
    seen.clear()
    asyncio.run(asyncio.sleep(0))
    print(seen)

hook = whence.create_hook(init=lambda i, type, *_: seen.append(type)).enable()
fork(work)
"""
    assert output(launch, program) == ["True True", "[]"]


def test_a_hook_callback_that_forks_leaves_the_child_free_to_change_hooks(
    launch: Launcher,
) -> None:
    """SEMANTICS 3.8: no event of the parent's is under way in it."""
    program = """
def work():
    seen = []
    with whence.create_hook(init=lambda i, type, *_: seen.append(type)):
        whence.AsyncResource("CHILD")
    print(seen, engine.local.state.depth)

def init(async_id, type, *_):
    if type == "FORK":
        fork(work)

with whence.create_hook(init=init):
    whence.AsyncResource("FORK")
print(engine.local.state.depth)
"""
    assert output(launch, program) == ["['CHILD'] 0", "0"]


def test_a_lock_that_another_thread_holds_in_the_parent_is_free(launch: Launcher) -> None:
    program = """
from whence.engine import dispatch

held, go_on = threading.Event(), threading.Event()

def hold():
    with dispatch._lock, dispatch._installing:
        held.set()
        go_on.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()

def work():
    with whence.create_hook(init=lambda *_: None):
        print("changed")

fork(work)
go_on.set()
thread.join()
"""
    assert output(launch, program) == ["changed"]


def test_what_the_parent_recorded_is_the_parents(launch: Launcher) -> None:
    program = """
engine.recorder.on = True
engine.recorder.min_duration = 0
engine.want_instrumentation(True)
open_one = whence.AsyncResource("X")
whence.AsyncResource("X").emit_destroy()
row = engine.resource_types.type_named("X")

def tell():
    print(len(engine.open_lifetimes), len(engine.ring), row.created, row.destroyed)

def work():
    tell()
    whence.AsyncResource("X").emit_destroy()
    tell()
    open_one.emit_destroy()
    tell()

fork(work)
tell()
"""
    assert output(launch, program) == ["0 0 0 0", "0 1 1 1", "0 1 1 1", "1 1 2 1"]
