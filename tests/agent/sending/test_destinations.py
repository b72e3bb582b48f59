"""One destination: what becomes of every span, when it is left alone, what the user reads."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from configured import settings
from whence.engine import SpanLifetime
from whence.sending import destinations
from whence.sending.destinations import Destination
from whence.sending.exporting import CannotExport, ExportError, SpansRejected, Taken

real_jitter = destinations.jitter
STEP = 0.0625


class Theirs:
    """An exporter that does as it is told."""

    label = "the receiver"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.timeouts: list[float | None] = []
        self.result: Taken | Exception | None = None
        self.takes = 0.0
        self.clock: Clock | None = None
        self.stopped = self.abandoned = False

    def start(self, chosen: Any) -> None:
        self.settings = chosen

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        self.batches.append(len(batch))
        self.timeouts.append(timeout)
        if self.clock is not None:
            self.clock.now += self.takes
        if isinstance(self.result, Exception):
            raise self.result
        return self.result or Taken(len(batch))

    def stop(self, timeout: float) -> None:
        self.stopped = True

    def abandon(self) -> None:
        self.abandoned = True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(destinations, "monotonic", made)
    monkeypatch.setattr(destinations, "jitter", lambda: 1.0)
    return made


@pytest.fixture
def theirs(clock: Clock) -> Theirs:
    made = Theirs()
    made.clock = clock
    return made


@pytest.fixture
def destination(theirs: Theirs) -> Destination:
    made = Destination("theirs", lambda name: theirs)
    made.start(settings())
    return made


def spans(number: int) -> list[SpanLifetime]:
    return [SpanLifetime() for _ in range(number)]


def numbers(destination: Destination) -> tuple[int, int, int]:
    return destination.sent, destination.unsampled, destination.failed


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    said: list[str] = err.splitlines()
    return said


def test_what_is_taken_is_counted(destination: Destination, theirs: Theirs) -> None:
    destination.export(spans(3))
    theirs.result = Taken(2, unsampled=5)
    destination.export(spans(7))
    assert numbers(destination) == (5, 5, 0)
    assert destination.pending == 0


def test_what_fails_is_counted(destination: Destination, theirs: Theirs) -> None:
    theirs.result = ExportError("down", Taken(1, unsampled=2))
    destination.export(spans(10))
    assert numbers(destination) == (1, 2, 7)


def test_the_user_reads_one_line_when_it_goes_down_and_one_when_it_is_back(
    destination: Destination,
    theirs: Theirs,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    theirs.result = ExportError("no receiver at x; start one")
    for _ in range(5):
        destination.export(spans(2))
        clock.now += 100
    assert lines(capfd) == ["whence: no receiver at x; start one"]
    theirs.result = None
    destination.export(spans(2))
    destination.export(spans(2))
    assert lines(capfd) == ["whence: the receiver takes spans again; 10 were dropped"]
    theirs.result = ExportError("down again")
    destination.export(spans(2))
    assert lines(capfd) == ["whence: down again"]


def test_after_failures_it_is_left_alone_for_longer_and_longer(
    destination: Destination, theirs: Theirs, clock: Clock
) -> None:
    theirs.result = ExportError("down")
    tries: list[float] = []
    while len(tries) < 10:
        before = len(theirs.batches)
        destination.export(spans(1))
        if len(theirs.batches) > before:
            tries.append(clock.now)
        clock.now += 0.5
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_pauses_are_a_random_part_of_that(
    destination: Destination, theirs: Theirs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many processes that lose their receiver together do not come back together."""
    theirs.result = ExportError("down")
    # Each look at a pause is two failures.
    for part, pause in ((1.0, 1), (0.5, 4 / 2), (0.25, 16 / 4), (0.0, destinations.LEAST_PAUSE)):
        monkeypatch.setattr(destinations, "jitter", lambda part=part: part)
        assert pause_after_failure(destination, theirs, clock) == pytest.approx(pause, abs=STEP)


def test_the_random_parts_are_from_0_to_1_and_differ() -> None:
    parts = [real_jitter() for _ in range(1000)]
    assert all(0 <= part < 1 for part in parts)
    assert len(set(parts)) > 900
    assert 0.4 < sum(parts) / len(parts) < 0.6


@pytest.mark.parametrize(
    ("asked", "pause"), [(7.0, 7.0), (0.0, 1.0), (0.5, 1.0), (1e12, destinations.MOST_RETRY_AFTER)]
)
def test_it_is_left_alone_for_as_long_as_it_asks_within_reason(
    destination: Destination, theirs: Theirs, clock: Clock, asked: float, pause: float
) -> None:
    theirs.result = ExportError("429 Too Many Requests", retry_after=asked)
    assert pause_after_failure(destination, theirs, clock) == pytest.approx(pause, abs=STEP)


def pause_after_failure(destination: Destination, theirs: Theirs, clock: Clock) -> float:
    """Let it fail, and see when it is tried again."""
    clock.now += 1000
    destination.export(spans(1))
    tried, failed_at = len(theirs.batches), clock.now
    while True:
        destination.export([])
        if len(theirs.batches) > tried:
            return clock.now - failed_at
        clock.now += STEP


def test_what_comes_while_it_is_left_alone_is_dropped_and_counted(
    destination: Destination, theirs: Theirs
) -> None:
    theirs.result = ExportError("down")
    for _ in range(4):
        destination.export(spans(5))
    assert theirs.batches == [5]
    assert destination.failed == 20


def test_success_ends_the_pauses(destination: Destination, theirs: Theirs, clock: Clock) -> None:
    theirs.result = ExportError("down")
    for _ in range(3):
        destination.export(spans(1))
        clock.now += 100
    theirs.result = None
    destination.export(spans(1))
    theirs.result = ExportError("down")
    destination.export(spans(1))
    clock.now += destinations.SHORTEST_PAUSE
    tried = len(theirs.batches)
    destination.export(spans(1))
    assert len(theirs.batches) == tried + 1


def test_an_empty_batch_says_nothing_about_the_destination(
    destination: Destination,
    theirs: Theirs,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    theirs.result = ExportError("down")
    destination.export(spans(1))
    theirs.result = None
    clock.now += 100
    destination.export([])
    assert lines(capfd) == ["whence: down"]


def test_rejected_spans_are_one_line_and_no_pause(
    destination: Destination, theirs: Theirs, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs.result = SpansRejected("2 were too old", Taken(3))
    for _ in range(3):
        destination.export(spans(5))
    assert theirs.batches == [5, 5, 5]
    assert numbers(destination) == (9, 0, 6)
    assert lines(capfd) == ["whence: 2 were too old"]


def test_an_outage_is_told_also_after_rejections(
    destination: Destination, theirs: Theirs, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs.result = SpansRejected("2 were too old", Taken(3))
    destination.export(spans(5))
    theirs.result = ExportError("down")
    destination.export(spans(5))
    assert lines(capfd) == ["whence: 2 were too old", "whence: down"]


def test_an_exporter_that_breaks_harms_nobody(
    destination: Destination, theirs: Theirs, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs.result = ZeroDivisionError("division\nby zero")
    destination.export(spans(5))
    assert numbers(destination) == (0, 0, 5)
    assert lines(capfd) == [
        "whence: the receiver failed (ZeroDivisionError: division by zero); spans are dropped"
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CannotExport("expected a URL"), "whence: expected a URL"),
        (
            ModuleNotFoundError("No module named 'grpc'"),
            "whence: the exporter theirs cannot be loaded "
            "(ModuleNotFoundError: No module named 'grpc'); its spans are dropped",
        ),
    ],
)
def test_an_exporter_that_cannot_be_is_one_line_and_its_spans_are_counted(
    error: Exception, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def load(name: str) -> Any:
        raise error

    destination = Destination("theirs", load)
    destination.start(settings())
    for _ in range(3):
        destination.export(spans(2))
    destination.stop(1)
    assert destination.failed == 6
    assert not destination.usable
    assert lines(capfd) == [line]


# What waits


class Keeping(Theirs):
    """Lets what it cannot send wait, eight spans at the most."""

    held = 0

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        waiting = self.keep(batch)
        try:
            super().export(batch, timeout)
        except ExportError as error:
            raise ExportError(str(error), waiting) from None
        sent, self.held = Taken(self.held), 0
        return sent

    def keep(self, batch: Sequence[SpanLifetime]) -> Taken:
        self.held = min(8, self.held + len(batch))
        return Taken(0, waiting=self.held)


@pytest.fixture
def keeping(clock: Clock) -> Keeping:
    return Keeping()


@pytest.fixture
def kept(keeping: Keeping) -> Destination:
    """A destination whose exporter keeps what it cannot send."""
    made = Destination("keeping", lambda name: keeping)
    made.start(settings())
    return made


def test_what_waits_is_sent_when_the_destination_is_back(
    kept: Destination, keeping: Keeping, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    keeping.result = ExportError("down")
    kept.export(spans(3))
    kept.export(spans(2))
    assert keeping.batches == [3], "the second waits without an attempt"
    assert (numbers(kept), kept.waiting) == ((0, 0, 0), 5)
    keeping.result = None
    clock.now = kept.retry_at
    kept.export([])
    assert (numbers(kept), kept.waiting) == ((5, 0, 0), 0)
    assert lines(capfd) == ["whence: down", "whence: the receiver takes spans again"]


def test_what_is_too_much_to_wait_has_failed(
    kept: Destination, keeping: Keeping, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    keeping.result = ExportError("down")
    for _ in range(5):
        kept.export(spans(2))
    assert (numbers(kept), kept.waiting) == ((0, 0, 2), 8)
    keeping.result = None
    clock.now = kept.retry_at
    kept.export(spans(0))
    assert (numbers(kept), kept.waiting) == ((8, 0, 2), 0)
    assert lines(capfd)[1:] == ["whence: the receiver takes spans again; 2 were dropped"]


def test_what_still_waits_at_the_end_has_failed(kept: Destination, keeping: Keeping) -> None:
    keeping.result = ExportError("down")
    kept.export(spans(3))
    kept.stop(1)
    assert (numbers(kept), kept.waiting) == ((0, 0, 3), 0)


def test_there_is_nothing_to_try_again_while_nothing_waits(
    destination: Destination, kept: Destination, keeping: Keeping, theirs: Theirs, clock: Clock
) -> None:
    keeping.result = theirs.result = ExportError("down")
    assert kept.retry_at == float("inf")
    for one in (destination, kept):
        one.export(spans(1))
    assert destination.retry_at == float("inf")
    assert kept.retry_at == clock.now + destinations.SHORTEST_PAUSE


def test_a_child_has_nothing_of_the_parents_to_send(kept: Destination, keeping: Keeping) -> None:
    keeping.result = ExportError("down")
    kept.export(spans(3))
    assert kept.in_child().waiting == 0


# The end


def test_at_the_end_it_is_given_the_time_that_is_left(
    destination: Destination, theirs: Theirs
) -> None:
    destination.export(spans(1), 1.25)
    assert theirs.timeouts == [1.25]


def test_at_the_end_one_that_fails_at_once_is_tried_once_more(
    destination: Destination, theirs: Theirs
) -> None:
    theirs.result = ExportError("connection refused")
    destination.export(spans(1))
    destination.export(spans(1), 1.0)
    assert theirs.batches == [1, 1]


def test_at_the_end_one_that_hangs_is_not_waited_for_again(
    destination: Destination, theirs: Theirs
) -> None:
    theirs.result, theirs.takes = ExportError("no answer"), 10.0
    destination.export(spans(1))
    destination.export(spans(1), 1.0)
    assert theirs.batches == [1]
    assert destination.failed == 2


def test_stopping_one_that_breaks_is_a_line(
    destination: Destination,
    theirs: Theirs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def stop(timeout: float) -> None:
        raise OSError("no")

    monkeypatch.setattr(theirs, "stop", stop)
    destination.stop(1)
    assert lines(capfd) == ["whence: the receiver did not end well (OSError: no)"]


# A forked child


def test_a_child_begins_anew_and_lets_go_of_what_is_the_parents(
    destination: Destination, theirs: Theirs
) -> None:
    destination.export(spans(3))
    twin = destination.in_child()
    assert theirs.abandoned
    assert not theirs.stopped
    assert numbers(twin) == (0, 0, 0)
    assert twin.exporter is None


def test_a_child_does_not_say_again_what_the_parent_said(
    destination: Destination,
    theirs: Theirs,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    theirs.result = ExportError("down")
    destination.export(spans(1))
    assert lines(capfd) == ["whence: down"]
    twin = destination.in_child()
    twin.start(settings())
    twin.export(spans(1))
    assert lines(capfd) == []
    theirs.result = None
    clock.now += 100
    twin.export(spans(1))
    assert lines(capfd) == ["whence: the receiver takes spans again; 1 were dropped"]
