"""One destination of metrics: when it is tried, and what the user reads."""

import pytest

from configured import settings
from whence.sending import metrics_destination as module
from whence.sending.exporting import CannotExport, ExportError
from whence.sending.metrics_destination import MetricsDestination
from whence.settings.config import Settings


class Fake:
    """Fails as it is told."""

    label = "the fake"

    def __init__(self) -> None:
        self.exports: list[float | None] = []
        self.error: Exception | None = None
        self.start_error: Exception | None = None
        self.stopped: list[float] = []
        self.abandoned = 0

    def start(self, chosen: Settings) -> None:
        if self.start_error is not None:
            raise self.start_error

    def export(self, timeout: float | None) -> None:
        self.exports.append(timeout)
        if self.error is not None:
            raise self.error

    def stop(self, timeout: float) -> None:
        self.stopped.append(timeout)

    def abandon(self) -> None:
        self.abandoned += 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def destination(fake: Fake) -> MetricsDestination:
    made = MetricsDestination("fake", lambda name: fake)
    made.start(settings())
    return made


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def test_it_hands_on_what_time_there_is(destination: MetricsDestination, fake: Fake) -> None:
    destination.export(None)
    destination.export(0.5)
    destination.stop(0.25)
    assert (fake.exports, fake.stopped) == ([None, 0.5], [0.25])


def test_after_a_failure_it_is_left_alone_for_longer_and_longer(
    destination: MetricsDestination, fake: Fake, clock: Clock
) -> None:
    fake.error = ExportError("down")
    waits = []
    for _ in range(9):
        tried = len(fake.exports)
        began = clock.now
        while len(fake.exports) == tried:
            destination.export(None)
            clock.now += 0.5
        waits.append(clock.now - 0.5 - began)
    assert waits[0] == 0
    assert [round(wait + 0.5) for wait in waits[1:]] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_user_reads_one_line_when_it_goes_down_and_one_when_it_is_up(
    destination: MetricsDestination,
    fake: Fake,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for error in (None, "gone", "gone for good", None, None, "gone again"):
        fake.error = None if error is None else ExportError(error)
        clock.now += 100
        destination.export(None)
    assert lines(capfd) == [
        "whence: gone",
        "whence: the fake takes metrics again",
        "whence: gone again",
    ]


def test_an_error_without_a_text_is_told_to_nobody(
    destination: MetricsDestination, fake: Fake, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.error = ExportError("")
    destination.export(None)
    fake.error = None
    clock.now += 100
    destination.export(None)
    assert lines(capfd) == []
    assert len(fake.exports) == 2


def test_what_will_never_take_any_is_let_go(
    destination: MetricsDestination, fake: Fake, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.error = CannotExport("it takes none")
    destination.export(None)
    destination.export(None)
    destination.stop(1.0)
    assert (fake.exports, fake.stopped) == ([None], [0.0])
    assert lines(capfd) == ["whence: it takes none"]


def test_a_defect_of_an_exporter_is_a_failure(
    destination: MetricsDestination, fake: Fake, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.error = KeyError("x")
    destination.export(None)
    destination.export(None)
    assert fake.exports == [None]
    assert lines(capfd) == ["whence: the fake failed (KeyError: 'x')"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CannotExport("it needs a certificate"), "whence: it needs a certificate"),
        (
            ImportError("no module"),
            "whence: the metrics exporter fake cannot be loaded (ImportError: no module); "
            "it gets no metrics",
        ),
    ],
)
def test_one_that_cannot_be_loaded_is_told_and_never_called(
    fake: Fake, error: Exception, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.start_error = error
    destination = MetricsDestination("fake", lambda name: fake)
    destination.start(settings())
    destination.export(None)
    destination.stop(1.0)
    destination.abandon()
    assert lines(capfd) == [line]
    assert (fake.exports, fake.stopped, fake.abandoned) == ([], [], 0)


def test_in_a_forked_child_it_lets_go(destination: MetricsDestination, fake: Fake) -> None:
    destination.abandon()
    assert (fake.abandoned, fake.stopped) == (1, [])
