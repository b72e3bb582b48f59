"""Steps of what cold surfaces enter and leave, as turns of a loop."""

from collections.abc import Iterator
from typing import Any

import pytest

from lives import MS, Lives
from whence.engine import local
from whence.engine.blocks import restart_in_child
from whence.engine.measures import blocked
from whence.engine.resource_types import EXECUTOR_JOB, READER, TRANSPORT, type_named


@pytest.fixture(autouse=True)
def nothing_blocked(lives: Lives) -> Iterator[None]:
    """Nothing has blocked yet."""
    restart_in_child()
    yield
    restart_in_child()


def told(lifetime: Any) -> list[dict[str, Any]]:
    """What the events of a lifetime say."""
    return [attributes for _, _, attributes in lifetime.events or []]


def test_a_protocol_that_a_loop_in_c_calls_is_timed_as_a_turn_of_it(lives: Lives) -> None:
    one = lives.begin(row=TRANSPORT)
    state = local.state
    busy, turns = state.busy, TRANSPORT.turns.run()
    with lives.running(one):
        assert state.entered == lives.now
        lives.wait(3)
    assert state.entered == 0
    assert state.busy - busy == 3 * MS
    run = TRANSPORT.turns.run() - turns
    assert (run.count, run.buckets()) == (1, [(2**22 / 1e9, 1)])


def test_a_protocol_inside_of_a_reader_is_timed_with_it(lives: Lives) -> None:
    reader, connection = lives.record(None, READER), lives.begin(row=TRANSPORT)
    turns = TRANSPORT.turns.run().count
    with lives.running(reader), lives.running(connection):
        lives.wait(200)
    assert TRANSPORT.turns.run().count == turns + 1, "one turn of the loop"
    assert len(told(connection)) == 1
    assert blocked.number == 1


def test_a_protocol_inside_of_a_resource_of_the_programs_is_timed_once(lives: Lives) -> None:
    """Its transport calls it, in the middle of a callback: to pause writing, say."""
    connection, other = lives.begin(row=TRANSPORT), lives.begin(row=TRANSPORT)
    own = lives.begin(row=type_named("Own"))
    state = local.state
    busy, turns = state.busy, TRANSPORT.turns.run().count
    with lives.running(connection):
        began = state.entered
        with lives.running(own), lives.running(other):
            lives.wait(3)
        assert state.entered == began, "it is watched still"
        lives.wait(4)
    assert state.busy - busy == 7 * MS
    assert TRANSPORT.turns.run().count == turns + 1, "one turn of the loop"


def test_the_time_in_a_queue_is_that_from_submission_to_a_worker(lives: Lives) -> None:
    assert EXECUTOR_JOB.queue is not None
    before = EXECUTOR_JOB.queue.snapshot()
    job = lives.begin(row=EXECUTOR_JOB)
    lives.wait(12)
    with lives.running(job):
        lives.wait(500)
    queued = EXECUTOR_JOB.queue.snapshot() - before
    assert (queued.count, queued.sum) == (1, pytest.approx(0.012))
