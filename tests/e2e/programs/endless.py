"""What goes on and on, or down and down: callbacks and timers that arm themselves again, tasks that
start their successors, recursion through gather; each in a main task of its own.

Prints in JSON how many tasks and timers it made.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine

TURNS = 3_000
PERIODS = 200
SUCCESSORS = 300
DEPTH = 120

made: Counter[str] = Counter()
_tasks: set["asyncio.Task[None]"] = set()


def start(coroutine: "asyncio._CoroutineLike[None]") -> "asyncio.Task[None]":
    made["Task"] += 1
    task = asyncio.get_running_loop().create_task(coroutine)  # type: ignore[arg-type]
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def sleep() -> None:
    made["TimerHandle"] += 1
    await asyncio.sleep(0.0005)


async def poll() -> None:
    await asyncio.sleep(0)


async def turn_by_turn() -> None:
    """A call_soon loop that starts a task in each turn."""
    ended, left = asyncio.Event(), TURNS

    def turn() -> None:
        nonlocal left
        left -= 1
        start(poll())
        if left:
            asyncio.get_running_loop().call_soon(turn)
        else:
            ended.set()

    asyncio.get_running_loop().call_soon(turn)
    await ended.wait()


async def to_and_fro() -> None:
    """Two timers, each of which arms the other."""
    loop, ended, left = asyncio.get_running_loop(), asyncio.Event(), PERIODS

    def to() -> None:
        made["TimerHandle"] += 1
        loop.call_later(0.0001, fro)

    def fro() -> None:
        nonlocal left
        left -= 1
        if left:
            made["TimerHandle"] += 1
            loop.call_later(0.0001, to)
        else:
            ended.set()

    made["TimerHandle"] += 1
    loop.call_later(0.0001, to)
    await ended.wait()


async def succeed(left: int = SUCCESSORS) -> None:
    """Starts its successor, and is done a moment later."""
    if left:
        start(succeed(left - 1))
    await sleep()


async def descend(left: int = DEPTH) -> None:
    """Waits for what is below it."""
    await sleep()
    if left:
        await asyncio.gather(start(descend(left - 1)), start(poll()))


async def main(pattern: Callable[[], Coroutine[None, None, None]]) -> None:
    start(pattern())
    while _tasks:
        await sleep()


for pattern in (turn_by_turn, to_and_fro, succeed, descend):
    made["Task"] += 1
    asyncio.run(main(pattern))
print(json.dumps(made))
