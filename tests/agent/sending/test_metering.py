"""Which exporters metrics go to, how often, and when the last time is."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from configured import settings
from telling import recorded
from whence.engine.events import restart_in_child
from whence.sending import metering as module
from whence.sending.metering import Metering, exporters_of, interval_of
from whence.sending.metrics_destination import MetricsDestination
from whence.settings.config import Settings, keyword_layer, resolve


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)


# Which exporters


@pytest.mark.parametrize(
    ("config", "environ", "names"),
    [
        ({}, {}, ("otlp",)),
        ({"export": "otlp,console"}, {}, ("otlp",)),
        ({"export": "console"}, {}, ()),
        ({"export": "none"}, {}, ()),
        ({"export": "none"}, {"OTEL_METRICS_EXPORTER": "otlp"}, ()),
        ({}, {"OTEL_METRICS_EXPORTER": "none"}, ()),
        ({}, {"OTEL_METRICS_EXPORTER": "otlp,none"}, ()),
        ({"export": "console"}, {"OTEL_METRICS_EXPORTER": "otlp"}, ("otlp",)),
        ({}, {"OTEL_METRICS_EXPORTER": " console , otlp,console,"}, ("console", "otlp")),
        ({}, {"OTEL_METRICS_EXPORTER": "prometheus"}, ()),
        ({}, {"OTEL_TRACES_EXPORTER": "none"}, ()),
        ({}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp"}, ("otlp",)),
    ],
)
def test_metrics_go_where_they_were_asked_to_go_else_where_spans_go(
    config: dict[str, str], environ: dict[str, str], names: tuple[str, ...]
) -> None:
    chosen = resolve(keyword_layer({"service": "tests", **config}), environ=environ)
    assert exporters_of(chosen, environ) == names


# How often


def test_the_interval_is_in_milliseconds_as_for_opentelemetry() -> None:
    assert interval_of({}) == module.INTERVAL
    assert interval_of({"OTEL_METRIC_EXPORT_INTERVAL": " 2500 "}) == 2.5


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon"])
def test_a_wrong_interval_is_told_and_not_taken(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert interval_of({"OTEL_METRIC_EXPORT_INTERVAL": text}) == module.INTERVAL
    assert capfd.readouterr().err == (
        "whence: OTEL_METRIC_EXPORT_INTERVAL: expected milliseconds above 0, "
        f"not {text!r}; 15000 is used\n"
    )


class Fake:
    """Counts its exports."""

    label = "the fake"

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.threads: set[int] = set()
        self.stopped = False
        self._arrived = threading.Condition()

    def start(self, chosen: Settings) -> None:
        """Nothing to do."""

    def export(self, timeout: float | None) -> None:
        with self._arrived:
            self.timeouts.append(timeout)
            self.threads.add(threading.get_ident())
            self._arrived.notify_all()

    def stop(self, timeout: float) -> None:
        self.stopped = True

    def abandon(self) -> None:
        """Nothing to do."""

    def wait_for(self, exports: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.timeouts) >= exports, 20)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(
        module, "MetricsDestination", lambda name: MetricsDestination(name, lambda _: made)
    )
    return made


@pytest.fixture
def use(fake: Fake) -> Iterator[Callable[[], Metering]]:
    made: list[Metering] = []

    def start() -> Metering:
        metering = Metering(settings(), ("fake",))
        metering.resident.begin()
        made.append(metering)
        return metering

    with recorded():
        yield start
        for metering in made:
            end(metering)
        restart_in_child()


def event() -> None:
    asyncio.run(asyncio.sleep(0))


def end(metering: Metering, timeout: float = 20) -> None:
    metering.resident.stop(time.monotonic() + timeout)
    metering.finish()
    metering.resident.wait()


def test_it_exports_again_and_again_in_a_thread_of_its_own(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
    use()
    event()
    fake.wait_for(5)
    assert len(fake.threads) == 1
    assert threading.get_ident() not in fake.threads
    assert set(fake.timeouts) == {None}


def test_the_last_time_is_at_the_end_with_what_time_is_left(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_LIFE", 0.0)
    metering = use()
    event()
    end(metering, 15)
    (left,) = fake.timeouts
    assert left is not None
    assert 0 < left < 15
    assert fake.stopped
    end(metering)
    assert len(fake.timeouts) == 1


def test_the_last_one_waits_for_the_last_span(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_LIFE", 0.0)
    metering = use()
    event()
    metering.resident.stop(time.monotonic() + 20)
    assert not metering.resident._thread.wait(0.1)
    assert fake.timeouts == []
    metering.finish()
    metering.resident.wait()
    assert len(fake.timeouts) == 1


def test_but_not_for_longer_than_there_is_time(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_LIFE", 0.0)
    metering = use()
    event()
    metering.resident.stop(time.monotonic() + module._AFTER_SPANS + 0.1)
    fake.wait_for(1)
    (left,) = fake.timeouts
    assert left is not None
    assert left > 0


def test_a_process_of_a_moment_sends_none(use: Callable[[], Metering], fake: Fake) -> None:
    metering = use()
    event()
    end(metering)
    assert fake.timeouts == []


def test_unless_somebody_asked_for_metrics(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "fake")
    metering = use()
    event()
    end(metering)
    assert len(fake.timeouts) == 1


def test_a_process_without_an_event_sends_none(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "fake")
    end(use())
    assert fake.timeouts == []


def test_an_end_after_a_fork_without_an_event_sends_the_last_one_too(
    use: Callable[[], Metering], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORTEST_LIFE", 0.0)
    metering = use()
    event()
    metering.resident.pause()
    metering.resident.resume()
    end(metering)
    assert len(fake.timeouts) == 1
