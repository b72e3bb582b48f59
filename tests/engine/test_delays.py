"""Who was late because a step held the loop."""

from typing import Any

import pytest

from lives import Lives
from whence.engine.delays import MAX_DELAYED
from whence.engine.resource_types import HANDLE, REQUEST


def told(lifetime: Any) -> dict[str, Any]:
    """What the one event of a lifetime says."""
    ((_, _, attributes),) = lifetime.events
    assert isinstance(attributes, dict)
    return attributes


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What waits for its turn when the step ends."""

    class Waiting:
        def __init__(self, now: int) -> None:
            self.lifetimes = [one for one in queue if one.scheduled < now]
            self.more = more

    queue: list[Any] = []
    more = 0
    monkeypatch.setattr("whence.engine.delays.Waiting", Waiting)
    return queue


def test_it_is_named_with_how_much_of_its_wait_was_this_ones(
    lives: Lives, queue: list[Any]
) -> None:
    early, blocker = lives.begin("early"), lives.begin("blocker")
    lives.wait(40)
    with lives.running(blocker):
        lives.wait(50)
        late = lives.begin("late")
        queue += [late, early]
        lives.wait(150)
    event = told(blocker)
    assert event["whence.delayed.number"] == 2
    assert event["whence.delayed.ids"] == [early.async_id, late.async_id]
    assert event["whence.delayed.names"] == ["task early", "task late"]
    assert event["whence.delayed.times"] == [0.2, 0.15]
    assert early.attributes == {
        "whence.delayed.by": blocker.async_id,
        "whence.delayed.blocker": "task blocker",
        "whence.delayed.time": 0.2,
    }


def test_who_was_late_twice_says_by_whom_it_was_most(lives: Lives, queue: list[Any]) -> None:
    blockers = [lives.begin(), lives.begin(), lives.begin()]
    one = lives.begin()
    queue.append(one)
    for blocker, ms in zip(blockers, (110, 300, 120), strict=True):
        with lives.running(blocker):
            lives.wait(ms)
    assert one.attributes is not None
    assert one.attributes["whence.delayed.by"] == blockers[1].async_id
    assert one.attributes["whence.delayed.time"] == 0.3


def test_what_else_it_says_is_kept(lives: Lives, queue: list[Any]) -> None:
    one, blocker = lives.begin(), lives.begin()
    one.attributes = {"own": 1}
    before = one.attributes
    queue.append(one)
    with lives.running(blocker):
        lives.wait(200)
    assert one.attributes is not None
    assert one.attributes["own"] == 1
    assert before == {"own": 1}, "the sender thread may be reading it"


def test_few_are_named_and_all_are_counted(lives: Lives, queue: list[Any]) -> None:
    queue += [lives.begin() for _ in range(50)]
    queue += [lives.record(None, HANDLE) for _ in range(50)]
    blocker = lives.begin()
    with lives.running(blocker):
        lives.wait(200)
    event = told(blocker)
    assert event["whence.delayed.number"] == 100
    assert len(event["whence.delayed.ids"]) == len(event["whence.delayed.names"]) == MAX_DELAYED
    assert len(event["whence.delayed.times"]) == MAX_DELAYED


def test_it_does_not_delay_itself_nor_what_it_runs_in(lives: Lives, queue: list[Any]) -> None:
    task = lives.begin()
    request = lives.begin(by=task, row=REQUEST)
    queue += [task, request]
    with lives.running(task), lives.running(request):
        lives.wait(200)
    assert "whence.delayed.number" not in told(request)
    assert task.attributes is None


def test_what_waited_for_less_than_a_millisecond_was_not_late(
    lives: Lives, queue: list[Any]
) -> None:
    blocker = lives.begin()
    with lives.running(blocker):
        lives.wait(200)
        queue.append(lives.begin())
        lives.wait(0.9)
    assert "whence.delayed.number" not in told(blocker)
