"""What the engine in C makes of asyncio is tried when asyncio is instrumented; what does not fit is
left to what is slower, and programs run."""

import json
from typing import Any

import pytest

from engine_package import Package

LIVES = """
import asyncio, json
from whence import engine
from whence.engine import handle_classes, twin
from whence.testing import record

def fail():
    raise LookupError("on purpose")

async def work():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: seen.append(str(context["exception"])))
    handle = loop.call_soon(seen.append, "callback")
    stock.append(type(handle) is asyncio.Handle)
    loop.call_soon(fail)
    loop.call_later(1000, int).cancel()
    future = loop.create_future()
    loop.call_later(0.001, future.set_result, "future")
    seen.append(await future)
    return "task"

seen, stock = [], []
with record() as events:
    seen.append(asyncio.run(work()))
kinds = {}
for name, async_id, *rest in events:
    if name == "init":
        kinds[async_id] = rest[0]
lives = sorted({
    " ".join([kind, *(name for name in events.names(async_id) if name != "init")])
    for async_id, kind in kinds.items() if kind in ("Handle", "TimerHandle", "Future", "Task")
})
print(json.dumps({
    "engine": engine.NAME, "seen": seen, "stock": stock, "lives": lives, "slower": twin.slower,
}))
"""
"""Lives of each kind, and what is known of them."""

SEEN = ["callback", "on purpose", "future", "task"]


def lives_in(package: Package, *, before: str = "", **env: str) -> dict[str, Any]:
    ran = package.python("-c", before + LIVES, **{"WHENCE_ENGINE": "c", **env})
    answer: dict[str, Any] = ran.json
    assert (answer["engine"], answer["seen"]) == ("c", SEEN)
    answer["err"] = ran.err
    return answer


@pytest.fixture
def usual(whole: Package) -> list[str]:
    """What is told where everything fits."""
    answer = lives_in(whole)
    assert (answer["slower"], answer["stock"], answer["err"]) == ({}, [False], "")
    lives: list[str] = answer["lives"]
    assert {life.split()[0] for life in lives} == {"Handle", "TimerHandle", "Future", "Task"}
    (whole.folder / "_engine.py").unlink(missing_ok=True)
    for path in whole.folder.glob("_engine.*"):
        path.unlink()
    return lives


HANDLES = "handles are of asyncio's own classes"
FUTURES = "futures are of a class in Python"
SOCKETS = "sockets are read and written by asyncio"

FAILURES = {
    "def make_handles(*classes): raise TypeError('expected a slot _when')": (
        HANDLES,
        "TypeError: expected a slot _when",
    ),
    "def make_handles(*classes): return [type('H', (cls,), {}) for cls in classes[:2]]": (
        HANDLES,
        "RuntimeError: expected the handles to be made before",
    ),
    """
    def make_loop_methods(*what):
        class Method:
            def __init__(self, call): self.call = call
            def __get__(self, loop, kind=None): return lambda *args, **how: self.call(loop, *args)
        return engine.make_loop_methods(*what) | {"call_soon": Method(lambda *args: None)}
    """: (HANDLES, "what is ready: expected "),
    """
    def know_run(run, calling, reporting, debug):
        ours = calling is not None
        engine.know_run((lambda handle: None) if ours else run, None, None, debug)
    """: (HANDLES, "what executes: expected "),
    "def know_tasks(task, step, steps): engine.know_tasks(task, str, frozenset())": (
        HANDLES,
        "the events of a task that waits for a future: expected ",
    ),
    "def know_stream_transports(*what): raise TypeError('expected _loop to be a slot')": (
        SOCKETS,
        "TypeError: expected _loop to be a slot",
    ),
    "def make_future(*what): raise TypeError('expected Future.cancel to be a method in C')": (
        FUTURES,
        "TypeError: expected Future.cancel to be a method in C",
    ),
}
"""What is wrong in the engine -> what is slower for it, and how its reason begins or goes on."""


@pytest.mark.parametrize("wrong", FAILURES)
def test_what_does_not_fit_is_left_to_what_is_slower_and_the_lives_are_told_alike(
    wrong: str, package: Package, whole: Package, usual: list[str]
) -> None:
    package.put_changed(wrong)
    answer = lives_in(package)
    what, why = FAILURES[wrong]
    assert list(answer["slower"]) == [what]
    assert why in answer["slower"][what]
    assert answer["stock"] == [what == HANDLES]
    assert answer["lives"] == usual


def test_a_handle_whose_field_is_no_slot_is_followed_as_asyncios_own(
    package: Package, whole: Package, usual: list[str]
) -> None:
    changed = """
from asyncio import Handle
Handle._repr = property(lambda handle: None, lambda handle, value: None)
"""
    package.put_changed("")
    answer = lives_in(package, before=changed)
    assert answer["slower"] == {HANDLES: "TypeError: expected a slot _repr in Handle"}
    assert answer["lives"] == usual


def test_what_cannot_be_followed_at_all_is_one_line_and_the_program_runs(package: Package) -> None:
    package.put_changed(
        """
        def make_handles(*classes): raise TypeError("expected a slot _when")
        def running(original): return lambda handle: original(handle)
        """
    )
    answer = lives_in(package)
    (line,) = answer["err"].splitlines()
    assert line.startswith(
        "whence: callbacks is not instrumented (RuntimeError: its self-test fails (Failed: the "
        "events of two callbacks: expected 'Handle before after destroy, "
    )
    assert not any(life.startswith("Handle") for life in answer["lives"])


def test_futures_that_are_not_told_are_left_to_asyncio(package: Package) -> None:
    package.put_changed("def make_future(stock, *_): return type('Future', (stock,), {})")
    answer = lives_in(package)
    (line,) = answer["err"].splitlines()
    assert line.startswith("whence: futures is not instrumented (RuntimeError: its self-test fails")
    assert not any(life.startswith("Future") for life in answer["lives"])
    assert any(life.startswith("Task") for life in answer["lives"])


def test_the_doctor_names_what_is_slower_with_the_reason(package: Package) -> None:
    package.put_changed("def make_handles(*classes): raise TypeError('expected a slot _when')")
    words = ["-m", "whence", "doctor", "--json", "--export", "none"]
    report = json.loads(package.python(*words, WHENCE_ENGINE="c").out)
    assert (report["engine"]["name"], report["engine"]["handles"]) == ("c", "stock")
    (finding,) = [found for found in report["findings"] if "handles" in found["what"]]
    assert (finding["level"], finding["what"]) == ("note", HANDLES)
    assert finding["follows"].startswith("TypeError: expected a slot _when")


def test_it_leaves_nothing_behind_and_is_told_to_no_hook(whole: Package) -> None:
    program = """
import json, whence
from whence import engine
from whence.engine import local
from whence.engine.resource_types import known_types
heard = []
hook = whence.create_hook(init=lambda *told: heard.append(told[:2])).enable()
engine.recorder.on = True
first = engine.new_async_id()
import asyncio
made = engine.new_async_id()
hook.disable()
engine.recorder.on = False
counted = {row.name: row.created for row in known_types() if row.created}
left = len(engine.ring), len(engine.open_lifetimes), local.state.depth
print(json.dumps([made - first, heard, counted, *left]))
"""
    ran = whole.python("-c", program, WHENCE_ENGINE="c")
    assert (ran.json, ran.err) == ([1, [], {}, 0, 0, 0], "")
