"""Whole programs, and their traces as somebody draws them who knows the programs."""

import sys
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from drawing import check_drawing, names_in
from launching import Launcher
from receivers import HttpReceiver
from rules import check_spans
from seen import spans_of
from tracing import PROGRAMS, Tracing

STEPS_OF_LONG = 30
CLOCKS = 1_000_000
"""Nanoseconds by which the wall clocks of two traces may differ: each is read once."""

EVERYTHING = ("--min-duration", "0")


def nested(*lines: str) -> str:
    """The drawing of a chain, each under the one before."""
    return "".join(f"{' ' * 4 * depth}{line}\n" for depth, line in enumerate(lines))


DRAWINGS = {
    "echo": """
        task main
            3 x task talk
                connect  CLIENT
        server  closed <- task main
        3 x accept  closed <- server
        3 x task echo  <- accept
    """,
    "mixture": f"""
        task main
            task compute
                3 x executor digest
            task convert
                process {Path(sys.executable).name}
            task tick
                timer Event.set
                timer sleep
            task consult
                thread ask
                    task answer
                        timer sleep
            task alarm
                timer Event.set
    """,
    "jobs": """
        task main
            300 x task wait_for_job
                executor job
    """,
    "worker": """
        task main
            task work  cancelled
                3 x task deliver
                    timer sleep
            task order
            2 x task order
                timer sleep
    """,
    "periodic": """
        task main
            timer tick  PRODUCER
                task poll  CONSUMER
                    timer sleep
        4 x timer tick  PRODUCER <- timer tick
            task poll  CONSUMER
                timer sleep
    """,
    "forgotten": """
        task main
            task order  PRODUCER
                task confirm
                    timer sleep
                2 x task notify  CONSUMER
                    timer sleep
    """,
    "short_parent": """
        task main
            2 x task start_at_once  PRODUCER
                task last  CONSUMER
                    timer sleep
            connect  CLIENT
        server  closed <- task main
        accept  closed <- server
        task serve  PRODUCER <- accept
            task last  CONSUMER
                timer sleep
    """,
    "chat": """
        task main
            3 x task talk
                connect  CLIENT
            task Server._close
        server  closed <- task main
        3 x accept  closed <- server
        3 x WEBSOCKET  SERVER <- accept
            2 x task record
                timer sleep
    """,
    "factory": """
        task main
            2 x task mine
                4 x timer sleep
            task assemble
                8 x task make
                    executor cut
                    executor polish
    """,
    "pipeline": f"""
        task main
            2 x process {Path(sys.executable).name}
            task feed
            task collect
            2 x task Process.wait
    """,
    "script": f"""
        task main
            5 x timer sleep
            5 x executor int
            executor is_there
            process {Path(sys.executable).name}
    """,
    "chain": nested("task main", "task link  PRODUCER", *["task link  CONSUMER"] * 47)
    + nested("task link  CONSUMER <- task link", *["task link  CONSUMER"] * 11, "timer sleep"),
}


each_program = pytest.mark.parametrize("program", DRAWINGS)


@each_program
def test_everything_that_a_program_does_is_where_it_was_triggered(
    program: str, traced: Tracing
) -> None:
    check_drawing(traced(program, *EVERYTHING), DRAWINGS[program])


@pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not made for this system")
@each_program
def test_on_uvloop_everything_is_in_the_same_place(program: str, traced: Tracing) -> None:
    check_drawing(traced(program, *EVERYTHING, loop="uvloop"), DRAWINGS[program])


@each_program
def test_what_is_left_without_the_short_ones_is_still_in_its_place(
    program: str, traced: Tracing
) -> None:
    seen = Counter(span.name for span in traced(program))
    assert seen <= names_in(DRAWINGS[program])


def test_a_chain_of_short_tasks_is_as_deep_as_what_is_left_of_it(traced: Tracing) -> None:
    check_drawing(
        traced("chain", "--min-duration", "50"),
        """
        task main
            task link
                timer sleep
    """,
    )


def test_what_a_short_task_started_belongs_to_what_had_started_that(traced: Tracing) -> None:
    """Also where that is a connection: a new trace, but one that says where it comes from."""
    check_drawing(
        traced("short_parent", "--min-duration", "50"),
        """
        task main
            2 x task last
                timer sleep
        server  closed <- task main
        task last  <- server
            timer sleep
    """,
    )


def test_what_goes_on_for_long_comes_in_segments(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    """Each but the first is a trace of its own, and says which it continues; no child is lost."""
    options = ["--min-duration", "0", "--segment", "0.3", "--endpoint", http_receiver.url]
    ran = launch.run("-q", *options, str(PROGRAMS / "long.py"))
    assert (ran.code, ran.err) == (0, "")
    spans = spans_of(http_receiver.received.requests)
    check_spans(spans)
    named = Counter(span.name for span in spans)
    assert (named["task step"], named["timer sleep"]) == (STEPS_OF_LONG, 2 * STEPS_OF_LONG)

    segments = sorted((s for s in spans if s.name == "task main"), key=lambda s: s.start)
    assert len(segments) >= 3
    assert len({segment.trace_id for segment in segments}) == len(segments)
    assert [s.attributes["whence.segment"] for s in segments] == [*range(len(segments))]
    assert [s.outcome for s in segments] == ["open"] * (len(segments) - 1) + ["done"]
    assert {segment.parent_id for segment in segments} == {""}
    assert segments[0].links == []
    for before, segment in pairwise(segments):
        continued = (before.trace_id, before.span_id, {"whence.link": "segment"})
        assert segment.links == [continued]
    parents = {segment.span_id: segment for segment in segments}
    for step in (span for span in spans if span.name == "task step"):
        segment = parents[step.parent_id]
        assert segment.start <= step.start <= segment.end + CLOCKS


def test_what_goes_on_for_long_is_sent_also_if_nothing_ever_ends(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    waiting = launch.write("waiting.py", "import asyncio\nasyncio.run(asyncio.Event().wait())\n")
    options = ["-q", "--segment", "0.3", "--endpoint", http_receiver.url]
    child = launch.start(*launch.whence, "run", *options, waiting)
    http_receiver.received.wait_for(2)
    child.kill()
    first, second = spans_of(http_receiver.received.requests)[:2]
    assert [first.name, second.name] == ["task Event.wait"] * 2
    assert [span.attributes["whence.segment"] for span in (first, second)] == [0, 1]
