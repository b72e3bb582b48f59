"""The sender thread: what it drains, when, and what it counts."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from configured import settings
from lives import Lives
from whence.engine import OPEN, SpanLifetime, recorder, ring
from whence.engine.ring import NEVER
from whence.sending import sender as module
from whence.sending.destinations import Destination
from whence.sending.exporting import ExportError, Taken
from whence.sending.sender import Sender


class Fake:
    """Keeps the batches; blocks or fails as it is told."""

    label = "the fake"

    def __init__(self) -> None:
        self.batches: list[list[SpanLifetime]] = []
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()
        self.stopped_after: int | None = None
        self._arrived = threading.Condition()

    def start(self, chosen: Any) -> None:
        """Nothing to do."""

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        self.threads.add(threading.get_ident())
        self.gate.wait(20)
        with self._arrived:
            self.batches.append(list(batch))
            self._arrived.notify_all()
        if self.error is not None:
            raise self.error
        return Taken(len(batch))

    def stop(self, timeout: float) -> None:
        self.stopped_after = len(self.batches)

    @property
    def lifetimes(self) -> list[SpanLifetime]:
        return [lifetime for batch in self.batches for lifetime in batch]

    def wait_for(self, number: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.lifetimes) >= number, 20)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def use(lives: Lives, fake: Fake) -> Iterator[Callable[..., Sender]]:
    """Has a sender with a fake destination drain the ring."""
    made: list[Sender] = []
    before = ring.wake

    def start(**config: Any) -> Sender:
        sender = Sender(settings(**config), [Destination("fake", lambda name: fake)])
        ring.wake, ring.wake_at = sender.wake, 0
        made.append(sender)
        return sender

    yield start
    fake.gate.set()
    for sender in made:
        if not sender.stopped:
            sender.stop(5)
    ring.wake, ring.wake_at = before, NEVER


# What is drained, and when


def test_the_first_kept_lifetime_starts_it_and_is_exported(
    lives: Lives, fake: Fake, use: Callable[..., Sender]
) -> None:
    sender = use()
    main = lives.live(2, "main")
    fake.wait_for(1)
    assert fake.lifetimes == [main]
    assert fake.threads != {threading.get_ident()}
    sender.stop(5)
    assert sender.counts().sent == 1


def test_nothing_is_started_for_what_is_not_kept(
    lives: Lives, fake: Fake, use: Callable[..., Sender]
) -> None:
    sender = use()
    lives.live(0.1, "short")
    assert not sender._background.runs
    sender.stop(5)
    assert fake.batches == []
    assert fake.stopped_after is None, "it was never loaded"


def test_what_comes_together_goes_together(
    lives: Lives, fake: Fake, use: Callable[..., Sender]
) -> None:
    use()
    for number in range(100):
        lives.live(2, str(number))
    fake.wait_for(100)
    assert len(fake.batches) <= 3


def test_many_go_at_once_without_more_gathering(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 3600)
    monkeypatch.setattr(module, "BATCH", 10)
    use()
    for number in range(25):
        lives.live(2, str(number))
    fake.wait_for(20)
    assert all(len(batch) <= 10 for batch in fake.batches)


def test_it_sleeps_and_wakes_again_and_again(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 0.001)
    use()
    for number in range(1, 200):
        lives.live(2, str(number))
        fake.wait_for(number)
    assert len(fake.threads) == 1


def test_many_threads_lose_nothing(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 0.001)
    sender = use()

    def program() -> None:
        for _ in range(500):
            lives.fail(lives.begin("failing"), ValueError())

    threads = [threading.Thread(target=program) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.stop(20)
    assert len(fake.lifetimes) == 2000
    assert sender.counts().sent == 2000


def test_what_is_open_for_long_is_cut_and_goes_on(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "clock", lives.clock)
    monkeypatch.setattr(module, "GATHERING", 0.001)
    sender = use(segment=60)
    main = lives.begin("main")
    worker = lives.begin("worker", by=main)
    lives.wait(60_000)
    sender._next_scan = 0
    lives.fail(lives.begin("kick"), ValueError())
    fake.wait_for(3)
    _, first_of_main, first_of_worker = fake.lifetimes
    assert [record.outcome for record in (first_of_main, first_of_worker)] == [OPEN, OPEN]
    assert first_of_main.async_id == main.async_id
    assert first_of_worker.span is not None
    assert first_of_worker.span.parent == (main.async_id, 0)
    lives.end(worker)
    fake.wait_for(4)
    assert fake.lifetimes[-1].span is not None
    assert fake.lifetimes[-1].span.segment == 1


def test_it_looks_for_what_is_open_for_long_while_nothing_ends(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "clock", lives.clock)
    monkeypatch.setattr(module, "GATHERING", 0.001)
    sender = use(segment=0.02)
    assert sender._scan_every < 1
    lives.live(2, "starts it")
    fake.wait_for(1)
    lives.begin("main")
    lives.wait(1000)
    fake.wait_for(2)
    assert fake.lifetimes[1].outcome == OPEN


# The end


def test_the_end_sends_what_is_there_and_what_is_open(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "clock", lives.clock)
    monkeypatch.setattr(module, "GATHERING", 3600)
    sender = use()
    main = lives.begin("main")
    worker = lives.begin("worker", by=main)
    ended = lives.live(2, "ended", by=main)
    lives.begin("too young to tell", by=main)
    sender.stop(5)
    assert [record.name for record in fake.lifetimes] == ["ended", "main", "worker"]
    assert fake.lifetimes[0] is ended
    assert [record.outcome for record in fake.lifetimes[1:]] == [OPEN, OPEN]
    assert all(record.ended == lives.now for record in fake.lifetimes[1:])
    assert fake.stopped_after == len(fake.batches)
    assert sender.counts().sent == 3
    assert not worker.transparent


def test_the_end_of_what_never_began_is_nothing(fake: Fake, use: Callable[..., Sender]) -> None:
    sender = use()
    sender.stop(5)
    assert fake.batches == []
    assert sender.counts().dropped == 0


def test_the_end_does_not_wait_for_longer_than_it_may(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 0.001)
    sender = use()
    fake.gate.clear()
    lives.live(2, "on its way")
    while not fake.threads:
        time.sleep(0.001)
    for _ in range(3):
        lives.live(2, "waiting")
    before = time.monotonic()
    sender.stop(0.2)
    assert 0.2 <= time.monotonic() - before < 1.5
    counts = sender.counts()
    assert (counts.sent, counts.dropped) == (0, 4)


@pytest.mark.parametrize("collects", [True, False])
def test_the_end_leaves_the_collector_as_it_was(
    lives: Lives, fake: Fake, use: Callable[..., Sender], collects: bool
) -> None:
    """Meanwhile it is off: a full collection may hold the GIL for longer than there is time."""
    seen: list[bool] = []
    sender = use()
    fake.stop = lambda timeout: seen.append(gc.isenabled())  # type: ignore[method-assign]
    lives.live(2, "main")
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        sender.stop(5)
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]


# Numbers


def test_what_is_open_and_comes_too_late_is_counted_too(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "clock", lives.clock)
    monkeypatch.setattr(module, "GATHERING", 3600)
    monkeypatch.setattr(module, "LAST_BATCH", 2)
    sender = use()
    lives.live(2, "starts it")
    for _ in range(7):
        lives.begin("open")
    lives.wait(5)
    sent_at_first = 3

    def export(batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        fake.batches.append(list(batch))
        if len(fake.lifetimes) > sent_at_first:
            fake.gate.clear()
        fake.gate.wait(20)
        return Taken(len(batch))

    monkeypatch.setattr(fake, "export", export)
    sender.stop(0.3)
    assert (sender.counts().sent, sender.counts().dropped) == (sent_at_first, 5)


def test_what_a_full_ring_drops_is_counted(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 3600)
    sender = use()
    capacity, ring.capacity = ring.capacity, 5
    try:
        for _ in range(12):
            lives.live(2, "main")
        sender.stop(5)
    finally:
        ring.capacity = capacity
    counts = sender.counts()
    assert (counts.sent, counts.dropped) == (5, 7)


def test_every_span_is_in_exactly_one_number(
    lives: Lives, fake: Fake, use: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERING", 3600)
    sender = use(max_spans=2)
    fake.error = ExportError("half of it", Taken(1))
    main = lives.begin("main")
    for _ in range(5):
        lives.live(2, "child", by=main)
    lives.end(main)
    lives.live(2, "other")
    sender.stop(5)
    counts = sender.counts()
    assert (counts.sent, counts.dropped, counts.counted, counts.unsampled) == (1, 2, 4, 0)


def test_a_sender_that_breaks_says_so_once_and_takes_nothing_more(
    lives: Lives,
    use: Callable[..., Sender],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sender = use()

    def place_all(lifetimes: list[SpanLifetime]) -> list[SpanLifetime]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(sender.tracer, "place_all", place_all)
    lives.live(2, "main")
    while recorder.sends:
        time.sleep(0.001)
    lives.live(2, "more")
    assert len(ring) == 0
    sender.stop(5)
    assert capfd.readouterr().err == (
        "whence: sending failed (ZeroDivisionError: a bug); no more spans are sent\n"
    )
