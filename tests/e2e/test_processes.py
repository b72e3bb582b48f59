"""Each process reports for itself, however it was started."""

import os

import pytest

from drawing import check_drawing
from launching import Launcher
from receivers import HttpReceiver
from rules import check_spans
from seen import SeenSpan, spans_of
from tracing import PROGRAMS

FORKS = ["os.fork", "fork", "forkserver"]
WAYS = ["spawn", "subprocess", *([] if os.name == "nt" else FORKS)]

PARENT = """
    task before
        timer sleep
    task after
        timer sleep
"""
CHILD = """
    task inside
        timer sleep
"""


def run(launch: Launcher, receiver: HttpReceiver, way: str) -> dict[int, list[SeenSpan]]:
    """The spans of each process, by pid."""
    program = str(PROGRAMS / "family.py")
    ran = launch.run("-q", "--min-duration", "0", "--endpoint", receiver.url, program, way)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    by_pid: dict[int, list[SeenSpan]] = {}
    for span in spans_of(receiver.received.requests):
        by_pid.setdefault(span.resource["process.pid"], []).append(span)
    return by_pid


@pytest.mark.parametrize("way", WAYS)
def test_parent_and_child_each_send_what_is_theirs(
    way: str, launch: Launcher, http_receiver: HttpReceiver
) -> None:
    by_pid = run(launch, http_receiver, way)
    by_size = sorted(by_pid.values(), key=len)
    assert len(by_size) == 2, by_pid
    child, parent = by_size
    for spans, drawing in ((child, CHILD), (parent, PARENT)):
        check_spans(spans)
        check_drawing(spans, drawing)
        assert {span.resource["service.name"] for span in spans} == {"family"}
        assert len({span.resource["service.instance.id"] for span in spans}) == 1
    for key in ("trace_id", "span_id"):
        assert {getattr(s, key) for s in child} & {getattr(s, key) for s in parent} == set()
    assert child[0].resource["service.instance.id"] != parent[0].resource["service.instance.id"]


def test_a_worker_of_a_process_pool_sends_what_is_its_own(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    by_pid = run(launch, http_receiver, "pool")
    drawn = [spans for spans in by_pid.values() if any(s.name == "task inside" for s in spans)]
    (worker,) = drawn
    (parent,) = (spans for spans in by_pid.values() if spans is not worker)
    check_spans(worker)
    check_drawing(worker, CHILD)
    check_spans(parent)
    assert "executor child" in {span.name for span in parent}
