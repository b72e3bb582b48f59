"""However a program ends, it ends as without us; what it did until then is sent where Python still
runs anything, and nobody waits for a receiver that is not there."""

import os
import signal
import sys
import time

import pytest

from drawing import check_drawing
from launching import Finished, Launcher
from receivers import HttpReceiver, black_hole, free_port
from rules import check_spans
from seen import spans_of
from tracing import PROGRAMS

ENDING = str(PROGRAMS / "ending.py")

LONGEST_DELAY = 2.0
NOISE = 0.5
"""Seconds that a busy machine may add."""
TRIES = 3
"""Ends of which the best counts: a busy machine may add more than that, and have no time left for
the line, but not each time."""

posix_only = pytest.mark.skipif(os.name == "nt", reason="tells of POSIX signals")

WORKED = """
    task main
        task work
            timer sleep
"""
FAILED = """
    task main  failed
        task work
            timer sleep
        task fail  failed
"""
INTERRUPTED = """
    task main  cancelled
        task work
            timer sleep
        timer sleep  cancelled
"""
EXITED = """
    task main  failed
        task work
            timer sleep
"""


def both(launch: Launcher, receiver: HttpReceiver, how: str) -> tuple[Finished, Finished]:
    """The program without whence, and with it."""
    plain = launch(launch.python, ENDING, how)
    options = ["-q", "--min-duration", "0", "--endpoint", receiver.url]
    return plain, launch.run(*options, ENDING, how)


@pytest.mark.parametrize(
    ("how", "code", "drawing"),
    [
        ("return", 0, WORKED),
        ("exit", 3, WORKED),
        ("exit in a task", 3, EXITED),
        ("fail", 1, FAILED),
        pytest.param("interrupt", -signal.SIGINT, INTERRUPTED, marks=posix_only),
    ],
    ids=["return", "exit", "exit in a task", "fail", "interrupt"],
)
def test_what_a_program_did_is_sent_and_it_ends_as_ever(
    how: str, code: int, drawing: str, launch: Launcher, http_receiver: HttpReceiver
) -> None:
    plain, traced = both(launch, http_receiver, how)
    assert plain.code == code
    assert (traced.code, traced.out, traced.err) == (plain.code, plain.out, plain.err)
    spans = spans_of(http_receiver.received.requests)
    check_spans(spans)
    check_drawing(spans, drawing)


def test_a_failure_says_which_exception_it_was(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    plain, traced = both(launch, http_receiver, "fail")
    assert plain.err.endswith("ValueError: out of tea\n")
    assert traced.err == plain.err
    failed = [s for s in spans_of(http_receiver.received.requests) if s.status == "ERROR"]
    assert {span.name for span in failed} == {"task main", "task fail"}
    for span in failed:
        assert span.status_text == "ValueError: out of tea"
        assert span.attributes["error.type"] == "ValueError"
        said = {"exception.type": "ValueError", "exception.message": "out of tea"}
        assert span.events == [("exception", said)]


def test_a_program_that_leaves_python_at_once_leaves_at_once(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    plain, traced = both(launch, http_receiver, "leave at once")
    assert (plain.code, plain.out, plain.err) == (7, "", "")
    assert (traced.code, traced.out, traced.err) == (7, "", "")


@posix_only
def test_a_signal_that_nobody_handles_loses_only_what_was_not_sent_yet(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    command = [*launch.whence, "run", "-q", "--endpoint", http_receiver.url]
    child = launch.start(*command, "--min-duration", "0", ENDING, "wait for a signal")
    http_receiver.received.wait_for(3)
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=30) == ("ready\n", "")
    assert child.returncode == -signal.SIGTERM
    check_drawing(spans_of(http_receiver.received.requests), WORKED)


class TestNoReceiver:
    """Nobody listens where spans are sent, or whoever listens never answers."""

    def end(self, launch: Launcher, port: int, protocol: str, *how: str) -> tuple[float, list[str]]:
        """How long the end took, in seconds, and what was said."""
        endpoint = f"http://127.0.0.1:{port}"
        options = ["-q", "--endpoint", endpoint, "--protocol", protocol]
        for _ in range(TRIES):
            ran = launch.run(*options, ENDING, "say when", *how)
            ended = time.monotonic()
            assert ran.code == 0, ran.err
            took = ended - float(ran.out)
            if took < LONGEST_DELAY + NOISE and ran.err:
                break
        return took, ran.err.splitlines()

    @pytest.mark.skipif(sys.platform == "win32", reason="the clock is each process's own")
    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    @pytest.mark.parametrize("listens", [False, True], ids=["refused", "unanswered"])
    def test_the_end_is_in_time_and_one_line_says_why_nothing_arrived(
        self, listens: bool, protocol: str, launch: Launcher
    ) -> None:
        if listens:
            with black_hole() as port:
                took, lines = self.end(launch, port, protocol, "loaded")
        else:
            port = free_port()
            took, lines = self.end(launch, port, protocol)
        assert took < LONGEST_DELAY + NOISE
        (line,) = lines
        assert line.startswith(f"whence: no OTLP receiver at http://127.0.0.1:{port} (")

    def test_with_nothing_to_send_there_is_nothing_to_wait_for(self, launch: Launcher) -> None:
        with black_hole() as port:
            script = launch.write("empty.py", "import asyncio")
            ran = launch.run("-q", "--endpoint", f"http://127.0.0.1:{port}", script)
        assert (ran.code, ran.out, ran.err) == (0, "", "")


class TestSaid:
    """What is said at the start and at the end."""

    def said(self, launch: Launcher, receiver: HttpReceiver, *options: str) -> list[str]:
        endpoint = ["--endpoint", receiver.url]
        return launch.run(*endpoint, *options, ENDING, "return").err.splitlines()

    def test_one_line_at_the_start_and_a_block_at_the_end(
        self, launch: Launcher, http_receiver: HttpReceiver
    ) -> None:
        start, *end = self.said(launch, http_receiver)
        assert start.startswith("whence ")
        assert start.endswith(f"service=ending  13 types  otlp {http_receiver.url}")
        assert end[0].startswith("whence: ")
        assert end[0].endswith(" resources")
        assert all(line.startswith("        ") for line in end[1:])

    def test_quiet_says_neither(self, launch: Launcher, http_receiver: HttpReceiver) -> None:
        assert self.said(launch, http_receiver, "-q") == []

    def test_without_a_block_there_is_only_the_start(
        self, launch: Launcher, http_receiver: HttpReceiver
    ) -> None:
        lines = self.said(launch, http_receiver, "--on-exit", "none")
        assert [line.partition(" ")[0] for line in lines] == ["whence"]
