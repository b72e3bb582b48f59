"""Collectors that are away, slow, overloaded or broken: the program goes on as ever, all is
counted, and the user reads a line when that changes."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from bad_receivers import (
    Answer,
    AtFirst,
    BadReceiver,
    Slow,
    answers,
    dies_in_the_answer,
    receiving,
    resets,
    resets_in_the_request,
    takes_all,
    text,
)
from certificates import Certificate

from launching import Launcher
from receivers import GrpcReceiver, HttpReceiver, black_hole, free_port
from tracing import PROGRAMS

END = 2.0
NOISE = 0.5
SLEEPS = 1000
"""No more spans than tasks but for the sleeps between them, and the main task."""
HTTP, GRPC = "http/protobuf", "grpc"
STEADY = str(PROGRAMS / "steady.py")


class Ran:
    """What a program said of how it went, and what was said on its stderr."""

    def __init__(self, said: dict[str, Any], lines: list[str]) -> None:
        self.said = said
        self.lines = lines
        self.sent: int = said["sent"]
        self.dropped: int = said["dropped"]

    def check(self) -> None:
        """What holds whatever a collector does."""
        told = sum(self.said[name] for name in ("sent", "dropped", "counted", "unsampled"))
        assert told == self.said["finished"]
        assert self.said["tasks"] < self.said["finished"] < self.said["tasks"] + SLEEPS
        assert self.said["end"] < END + NOISE


ENVIRONMENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.4", "OTEL_METRICS_EXPORTER": "none"}


def words(
    port: int, *, seconds: float, holds: int = 65536, scheme: str = "http", protocol: str = HTTP
) -> list[str]:
    """What to run: the program, against whatever is at the port."""
    options = ["-q", "--min-duration", "0", "--endpoint", f"{scheme}://127.0.0.1:{port}"]
    return [*options, "--protocol", protocol, STEADY, str(seconds), str(holds)]


def run(launch: Launcher, port: int, *, seconds: float = 1.0, **more: Any) -> Ran:
    """Run the program to its end."""
    ran = launch.run(*words(port, seconds=seconds, **more), env=ENVIRONMENT)
    return ended(ran.json, ran.err.splitlines())


def ended(said: dict[str, Any], lines: list[str]) -> Ran:
    """How it went."""
    found = Ran(said, lines)
    found.check()
    return found


def check_one_line(ran: Ran, *starts: str) -> None:
    """One line for each change of state."""
    assert [line[: len(start)] for line, start in zip(ran.lines, starts, strict=True)] == [*starts]


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    yield free_port()


@contextmanager
def somebody(answer: Answer, *, reads: bool = True) -> Iterator[int]:
    """The port of one who answers like this."""
    with receiving(answer, reads=reads) as receiver:
        yield receiver.port


def never(_: object) -> None:
    """Takes and says nothing: each request waits for its time to be over."""


AWAY = {
    "nobody listens": (nobody, "connection refused"),
    "takes and never answers": (lambda: somebody(never), "no answer within 0.4 s"),
    "takes 3 s": (lambda: somebody(Slow(3)), "no answer within 0.4 s"),
    "answers garbage": (
        lambda: somebody(answers(b"SSH-2.0-OpenSSH_9.2\r\n")),
        "what answers there does not speak HTTP",
    ),
    "dies in the request": (
        lambda: somebody(resets_in_the_request, reads=False),
        "the connection was closed without an answer",
    ),
    "dies before the answer": (
        lambda: somebody(resets),
        "the connection was closed without an answer",
    ),
}


@pytest.mark.parametrize("how", AWAY)
def test_one_that_is_away_costs_the_spans_and_one_line(how: str, launch: Launcher) -> None:
    at: AbstractContextManager[int] = AWAY[how][0]()
    with at as port:
        ran = run(launch, port)
        assert ran.sent == 0
        line = f"whence: no OTLP receiver at http://127.0.0.1:{port} ({AWAY[how][1]}); "
        check_one_line(ran, line)


GRPC_AWAY = {
    "nobody listens": nobody,
    "takes and never answers": black_hole,
    "answers garbage": lambda: somebody(answers(b"SSH-2.0-OpenSSH_9.2\r\n"), reads=False),
    "dies": lambda: somebody(resets, reads=False),
}


@pytest.mark.parametrize("how", GRPC_AWAY)
def test_over_grpc_as_well(how: str, launch: Launcher) -> None:
    with GRPC_AWAY[how]() as port:
        ran = run(launch, port, protocol=GRPC)
        assert ran.sent == 0
        check_one_line(ran, f"whence: no OTLP receiver at http://127.0.0.1:{port} (")


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_one_that_starts_later_gets_everything(protocol: str, launch: Launcher) -> None:
    port = free_port()
    command = [*launch.whence, "run", *words(port, seconds=4, protocol=protocol)]
    child = launch.start(*command, env=ENVIRONMENT)
    assert child.stderr is not None
    away = child.stderr.readline()
    assert away.startswith(f"whence: no OTLP receiver at http://127.0.0.1:{port} (")
    receiver: BadReceiver | GrpcReceiver
    receiver = GrpcReceiver(port) if protocol == GRPC else BadReceiver(takes_all, port=port)
    with closing(receiver):
        out, back = child.communicate(timeout=60)
        ran = ended(json.loads(out), back.splitlines())
        assert ran.dropped == 0
        if isinstance(receiver, BadReceiver):
            span_ids = receiver.span_ids
        else:
            span_ids = [span.span_id for span in receiver.received.spans]
        assert ran.sent == len(span_ids) == len(set(span_ids))
        shown = f"whence: the OTLP receiver at http://127.0.0.1:{port} "
        check_one_line(ran, f"{shown}takes spans again")


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_one_that_has_too_much_to_do_costs_the_spans_and_one_line(
    status: str, launch: Launcher
) -> None:
    with receiving(answers(text(status, "Retry-After: 1"))) as receiver:
        ran = run(launch, receiver.port)
        assert ran.sent == 0
        assert 1 <= len(receiver.requests) <= 10, "it is left alone when it asks for that"
        shown = f"whence: the OTLP receiver at http://127.0.0.1:{receiver.port} refused spans "
        check_one_line(ran, f"{shown}({status}); they are tried again")


def test_one_whose_certificate_nobody_vouches_for_gets_nothing(
    launch: Launcher, tmp_path: Path
) -> None:
    receiver = HttpReceiver(tls=Certificate(tmp_path, "localhost").server_context())
    try:
        ran = run(launch, receiver.port, scheme="https")
    finally:
        receiver.close()
    assert ran.sent == 0
    assert receiver.received.requests == []
    check_one_line(ran, f"whence: no OTLP receiver at https://127.0.0.1:{receiver.port} (TLS: ")


BACK = {
    "503": answers(text("503 Service Unavailable")),
    "429": answers(text("429 Too Many Requests", "Retry-After: 1")),
    "dies before the answer": resets,
    "garbage": answers(b"\x00\xff" * 100),
}


@pytest.mark.parametrize("how", BACK)
def test_one_that_comes_back_gets_everything(how: str, launch: Launcher) -> None:
    with receiving(AtFirst(2, BACK[how])) as receiver:
        ran = run(launch, receiver.port, seconds=4)
        assert ran.dropped == 0
        check_sent(ran, receiver)
        there = f"whence: the OTLP receiver at http://127.0.0.1:{receiver.port} takes spans again"
        assert ran.lines[1:] == [there]


def test_one_that_dies_when_it_has_said_yes_has_everything(launch: Launcher) -> None:
    with receiving(dies_in_the_answer) as receiver:
        ran = run(launch, receiver.port)
        check_sent(ran, receiver)
        assert len(receiver.requests) > 1
        assert (ran.dropped, ran.lines) == (0, [])


def test_one_that_takes_a_while_gets_everything_it_has_time_for(launch: Launcher) -> None:
    with receiving(Slow(0.3)) as receiver:
        ran = run(launch, receiver.port)
        check_sent(ran, receiver)
        assert ran.dropped == 0
        assert ran.lines == []


def test_what_it_refuses_for_good_is_dropped_and_the_rest_arrives(launch: Launcher) -> None:
    with receiving(AtFirst(1, answers(text("400 Bad Request")))) as receiver:
        ran = run(launch, receiver.port, seconds=2.5)
        refused = sum(1 for _ in spans_in(receiver, 1))
        assert refused > 0
        assert (ran.sent, ran.dropped) == (len(receiver.span_ids) - refused, refused)
        assert ran.lines[1].endswith(f"takes spans again; {refused} were dropped")


def test_when_too_much_waits_the_program_goes_on_and_the_rest_is_counted(launch: Launcher) -> None:
    with receiving(Slow(0.35)) as receiver:
        ran = run(launch, receiver.port, seconds=2, holds=300)
        check_sent(ran, receiver)
        assert ran.dropped > 100
        assert ran.said["waited"] <= 300


def test_the_program_works_as_fast_as_with_one_that_is_there(launch: Launcher) -> None:
    """Of the program's own thread: whatever a collector does is the business of another."""
    with receiving(takes_all) as there:
        as_ever = run(launch, there.port).said["busy for each"]
    with nobody() as port:
        assert run(launch, port).said["busy for each"] < as_ever * 2
    with somebody(never) as port:
        assert run(launch, port).said["busy for each"] < as_ever * 2


def spans_in(receiver: BadReceiver, requests: int) -> Iterator[Any]:
    """The spans of its first requests."""
    for request in receiver.requests[:requests]:
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                yield from scope_spans.spans


def check_sent(ran: Ran, receiver: BadReceiver) -> None:
    """Everything that is said to have been sent was received; nothing else, if it was told."""
    assert ran.sent == len(set(receiver.span_ids))
