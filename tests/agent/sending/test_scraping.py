"""Whether there is an endpoint, where, and who hears of it; in this process."""

import asyncio
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from telling import recorded
from whence.engine.events import restart_in_child
from whence.sending.scraping import DEFAULT_PORT, Scraping, port_of
from whence.settings.config import keyword_layer, resolve


@pytest.mark.parametrize(
    ("config", "environ", "port"),
    [
        ({}, {}, None),
        ({"metrics_port": 0}, {}, 0),
        ({"metrics_port": 9999, "export": "none"}, {}, 9999),
        ({}, {"OTEL_METRICS_EXPORTER": "otlp"}, None),
        ({}, {"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, DEFAULT_PORT),
        ({}, {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "80"}, 80),
        ({}, {"OTEL_EXPORTER_PROMETHEUS_PORT": "80"}, None),
        ({"export": "none"}, {"OTEL_METRICS_EXPORTER": "prometheus"}, None),
        ({"metrics_port": 5}, {"OTEL_METRICS_EXPORTER": "prometheus"}, 5),
    ],
)
def test_the_port_is_the_settings_else_opentelemetrys(
    config: dict[str, object], environ: dict[str, str], port: int | None
) -> None:
    chosen = resolve(keyword_layer({"service": "tests", **config}), environ=environ)
    assert port_of(chosen, environ) == port


@pytest.mark.parametrize("text", ["http", "-1", "65536"])
def test_a_wrong_port_of_opentelemetrys_is_told_and_not_taken(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": text}
    chosen = resolve(keyword_layer({"service": "tests"}), environ=environ)
    assert port_of(chosen, environ) == DEFAULT_PORT
    assert capfd.readouterr().err == (
        "whence: OTEL_EXPORTER_PROMETHEUS_PORT: expected a port from 0 to 65535, "
        f"not {text!r}; 9464 is used\n"
    )


@pytest.fixture
def scraping() -> Iterator[Scraping]:
    """An endpoint on any free port, that is about to listen."""
    chosen = resolve(keyword_layer({"service": "tests", "metrics_port": 0}), environ={})
    made = Scraping(chosen, 0)
    with recorded():
        made.resident.begin()
        yield made
        end(made)
        restart_in_child()


def end(scraping: Scraping) -> None:
    scraping.resident.stop(time.monotonic() + 20)
    scraping.resident.wait()


def event() -> None:
    asyncio.run(asyncio.sleep(0))


def wait_for_url(scraping: Scraping) -> str:
    until = time.monotonic() + 20
    while not scraping.url and time.monotonic() < until:
        time.sleep(0.001)
    return scraping.url


def scrape(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def test_it_listens_from_the_first_event_on_and_says_where(
    scraping: Scraping, capfd: pytest.CaptureFixture[str]
) -> None:
    assert scraping.url == ""
    event()
    url = wait_for_url(scraping)
    assert 'whence_resource_created_total{whence_type="Task"} ' in scrape(url)
    assert capfd.readouterr().err == f"whence: metrics at {url}\n"


def test_it_answers_after_a_fork_as_before(scraping: Scraping) -> None:
    event()
    url = wait_for_url(scraping)
    scraping.resident.pause()
    assert not scraping.resident._thread.runs
    scraping.resident.resume()
    event()
    assert "target_info" in scrape(url)


def test_it_listens_no_more_at_the_end(scraping: Scraping) -> None:
    event()
    url = wait_for_url(scraping)
    end(scraping)
    assert scraping.url == ""
    with pytest.raises(URLError):
        scrape(url)


def test_an_end_before_any_event_leaves_nothing(scraping: Scraping) -> None:
    end(scraping)
    event()
    assert scraping.url == ""
