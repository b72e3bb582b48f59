"""Programs that hang or leak in known ways: the culprit comes first, with its line.

In each program the line is marked by a comment.
"""

from pathlib import Path
from typing import Any

import pytest

from launching import Launcher
from whence.live import why

PROGRAMS = Path(__file__).parent / "programs"
ASKER = Path(__file__).parent / "asker.py"
PATIENCE = "20"
"""Seconds for which a program is asked again; it takes one to hang, and a busy machine more."""

EXPECTED = {
    "async_generator": (why.MAIN, "task main"),
    "barrier_too_few": (why.MAIN, "task party"),
    "condition_not_notified": (why.MAIN, "task watch"),
    "event_never_set": (why.MAIN, "task main"),
    "executor_at_the_end": (why.JOB, "executor export"),
    "executor_blocked": (why.JOB, "executor read"),
    "executor_full": (why.JOB, "executor hold"),
    "forgotten_task": (why.TASK, "task poll"),
    "future_in_a_table": (why.MAIN, "task main"),
    "future_nobody_settles": (why.STRANDED, "task ask"),
    "keep_alive_connection": (why.MAIN, "task serve"),
    "lock_holder_waits": (why.MAIN, "task refresh"),
    "lock_never_released": (why.LOCKED, "task refund"),
    "lock_taken_twice": (why.DEADLOCK, "task outer"),
    "locks_in_two_orders": (why.DEADLOCK, "task pay"),
    "loop_blocked": (why.BLOCKED, "task work"),
    "loop_waits_for_itself": (why.BLOCKED, "task main"),
    "polling": (why.SLEEP, "task poll"),
    "queue_consumer": (why.MAIN, "task consume"),
    "queue_full": (why.MAIN, "task produce"),
    "queue_join": (why.MAIN, "task main"),
    "run_forever_reader": (why.READER, "reader arrived"),
    "semaphore_used_up": (why.LOCKED, "task fetch"),
    "server_listening": (why.SERVER, "server"),
    "shielded": (why.MAIN, "task save"),
    "subprocess_never_reaped": (why.PROCESS, "process python"),
    "task_group": (why.MAIN, "task slow"),
    "tasks_await_each_other": (why.DEADLOCK, "task first"),
    "thread_not_daemon": (why.THREAD, "thread worker"),
    "thread_of_a_task": (why.THREAD, "thread"),
    "timer_of_a_thread": (why.THREAD, "thread"),
    "timer_rearming": (why.PERIODIC, "timer tick"),
}
"""Program -> the kind of what is found first, and what is named."""


def culprit_of(program: Path) -> int:
    (line,) = (
        number
        for number, text in enumerate(program.read_text(encoding="utf-8").splitlines(), 1)
        if text.endswith("# culprit")
    )
    return line


def test_every_program_is_in_the_table() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_culprit_comes_first_with_its_line(launch: Launcher, name: str) -> None:
    program = PROGRAMS / f"{name}.py"
    kind, named = EXPECTED[name]
    line = culprit_of(program)
    answer: dict[str, Any] = launch(
        launch.python, str(ASKER), PATIENCE, kind, str(line), str(program)
    ).json
    first = answer["findings"][0]
    assert (first["kind"], named in first["text"]) == (kind, True), answer["text"]
    hops = [hop for hop in first["path"] if hop["site"] and hop["site"]["line"] == line]
    assert hops, answer["text"]
    assert {hop["site"]["file"] for hop in hops} == {str(program)}
    assert hops[0]["source"].endswith("# culprit")
