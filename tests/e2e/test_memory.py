"""Tens of thousands of tasks under the agent: nothing stays of them, and what waits is limited."""

import re

from launching import Launcher
from receivers import black_hole
from tracing import PROGRAMS

MANY = str(PROGRAMS / "many.py")
ENDED = 40_000
"""Tasks of which nothing may be left: hundreds for each object that may be."""
TASKS = 100_000
"""More than may wait."""
MOST_WAITING = 65_536
BATCH = 8_192
"""The sender thread may have one in its hands."""

OBJECTS_ALLOWED = 100
"""The loop, its caches and the allocator take a few on their way."""
READER = 1
"""Of the loop's own self-pipe."""

ALONE = ("-q", "--no-live")
"""Whoever asks a process what it does has it import what answers."""


def check_nothing_is_left(said: dict[str, int]) -> None:
    assert said["left"] <= OBJECTS_ALLOWED
    assert said["open"] <= READER


def test_nothing_is_left_of_tasks_that_have_ended(launch: Launcher) -> None:
    check_nothing_is_left(launch.run(*ALONE, "--export", "none", MANY, str(ENDED)).json)


def test_nothing_is_left_of_tasks_whose_spans_were_sent(launch: Launcher) -> None:
    options = [*ALONE, "--min-duration", "0", "--export", "file", "-o", "spans.jsonl"]
    check_nothing_is_left(launch.run(*options, MANY, str(ENDED), "sent").json)


def test_spans_that_nobody_takes_are_counted_and_not_kept(launch: Launcher) -> None:
    with black_hole() as port:
        options = ["--min-duration", "0", "--max-spans", str(2 * TASKS)]
        options += ["--endpoint", f"http://127.0.0.1:{port}"]
        # Longer than it all takes: the first batch is still being sent at the end.
        ran = launch.run(*options, MANY, str(TASKS), env={"OTEL_EXPORTER_OTLP_TIMEOUT": "300"})
    said = ran.json
    assert said["waited"] <= MOST_WAITING
    assert TASKS - MOST_WAITING - BATCH <= said["dropped"] <= TASKS
    dropped = re.search(r"([\d ]+) spans dropped", ran.err)
    assert dropped is not None, ran.err
    # Every one of them, those that waited until the end included.
    assert int(dropped[1].replace(" ", "")) > TASKS
