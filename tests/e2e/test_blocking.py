"""Programs that hold their loop: who did it, in which line, and who was late."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from launching import Launcher
from receivers import HttpReceiver
from seen import SeenSpan
from services import Service
from tracing import PROGRAMS, Tracing

LOOPS = ["asyncio"] + ["uvloop"] * (find_spec("uvloop") is not None)

HELD = 0.25


@pytest.fixture
def traced(launch: Launcher, http_receiver: HttpReceiver) -> Tracing:
    return Tracing(launch, http_receiver)


def line_of(program: Path, comment: str) -> int:
    """The line with this comment at its end."""
    lines = program.read_text(encoding="utf-8").splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if line.endswith(f"# {comment}"))
    return number


def blocks_of(span: SeenSpan) -> list[dict[str, Any]]:
    return [attributes for name, attributes in span.events if name == "whence.blocked"]


def named(spans: list[SeenSpan], name: str) -> SeenSpan:
    (span,) = (span for span in spans if span.name == name)
    return span


@pytest.mark.parametrize("loop", LOOPS)
def test_each_blocker_is_told_with_its_line_and_whom_it_delayed(traced: Tracing, loop: str) -> None:
    spans = traced("blocking", "--slow", "100", loop=loop)
    program = PROGRAMS / "blocking.py"

    (slept,) = blocks_of(named(spans, "task checkout"))
    assert slept["code.file.path"] == str(program)
    assert slept["code.line.number"] == line_of(program, "the card")
    assert slept["code.function.name"] == "charge"
    assert [line.split(", in ")[-1] for line in slept["code.stacktrace"].splitlines()] == [
        "checkout",
        "charge",
    ]

    (computed,) = blocks_of(named(spans, "task report"))
    assert computed["code.function.name"] == "total"
    assert abs(computed["code.line.number"] - line_of(program, "the sum")) <= 1

    (flushed,) = blocks_of(named(spans, "task main"))
    assert flushed["code.line.number"] == line_of(program, "the log")
    assert flushed["whence.type"] == "Handle"

    for block in (slept, computed, flushed):
        assert HELD <= block["whence.blocked.time"] < 30

    by_id = {span.async_id: span for span in spans}
    for name, block in (("task checkout", slept), ("task report", computed)):
        blocker = named(spans, name)
        late = [by_id[async_id] for async_id in block["whence.delayed.ids"]]
        assert block["whence.delayed.number"] >= 3
        assert [span.name for span in late] == block["whence.delayed.names"]
        assert len(block["whence.delayed.times"]) == len(late)
        pollers = [span for span in late if span.name in ("timer sleep", "task poll")]
        assert len(pollers) == 3
        for span in pollers:
            assert span.attributes["whence.delayed.by"] == blocker.async_id
            assert span.attributes["whence.delayed.blocker"] == name
            assert span.attributes["whence.delayed.blocker"] == blocker.name
            assert 0.1 < span.attributes["whence.delayed.time"] <= block["whence.blocked.time"]


@pytest.mark.parametrize("loop", LOOPS)
def test_no_step_is_blamed_that_is_short_enough(traced: Tracing, loop: str) -> None:
    spans = traced("blocking", "--slow", "20000", loop=loop)
    assert [span for span in spans if blocks_of(span)] == []
    assert not [key for span in spans for key in span.attributes if ".delayed." in key]


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_is_blamed_and_not_the_connection_that_it_came_by(
    traced: Tracing, loop: str
) -> None:
    pytest.importorskip("aiohttp")
    service = Service(traced, "blocking_web", "--slow", "100", loop=loop)
    with service.connection() as connection:
        for path in ("/quick", "/pages/tea", "/quick"):
            assert service.get(connection, path) == 200
    spans = service.spans()
    (block,) = blocks_of(named(spans, "GET /pages/{name}"))
    program = PROGRAMS / "blocking_web.py"
    assert block["code.line.number"] == line_of(program, "the template")
    assert block["code.function.name"] == "render"
    assert [span.name for span in spans if blocks_of(span)] == ["GET /pages/{name}"]


def test_the_end_names_the_line_that_held_the_loop(launch: Launcher) -> None:
    program = PROGRAMS / "blocking.py"
    ran = launch(*launch.whence, "run", "--export", "none", str(program), cwd=PROGRAMS)
    assert ran.code == 0, ran.err
    (line,) = (line for line in ran.err.splitlines() if "worst block" in line)
    lines = [line_of(program, comment) for comment in ("the card", "the sum", "the log")]
    assert any(f" ms blocking.py:{n + d} (" in line for n in lines for d in (-1, 0, 1)), line
