"""The shop's metrics as a table: of what a real client library of Prometheus writes."""

import re
from math import inf

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from whence.examples.demo.numbers import Scraper, percentile, samples_of, table


@pytest.fixture
def text() -> str:
    registry = CollectorRegistry()
    made = Counter("whence_resource_created", "", ["whence_type"], registry=registry)
    made.labels("Task").inc(1234)
    made.labels("Future").inc(5)
    ended = Counter("whence_resource_destroyed", "", ["whence_outcome"], registry=registry)
    ended.labels("done").inc(1230)
    ended.labels("failed").inc(2)
    Counter("whence_blocked", "", registry=registry).inc(3)
    bounds = (0.001, 0.002, 0.004, 0.2)
    name = "whence_callback_run_time_distribution_seconds"
    run = Histogram(name, "", buckets=bounds, registry=registry)
    for seconds in (*[0.0005] * 60, *[0.0015] * 35, *[0.15] * 5):
        run.observe(seconds)
    return generate_latest(registry).decode()


def test_it_says_what_was_made_and_how_it_ended(text: str) -> None:
    made, ended, leaked, blocked, *_ = table(samples_of(text)).splitlines()
    assert made.split(maxsplit=1) == ["made", "1 234 Task, 5 Future"]
    assert ended.split(maxsplit=1) == ["ended", "1 230 done, 2 failed"]
    assert leaked == "never settled  -"
    assert re.fullmatch(r"blocked +3 times, for over 100 ms", blocked)


def test_it_says_how_long_things_took(text: str) -> None:
    lines = table(samples_of(text)).splitlines()
    (ran,) = (line for line in lines if "ran for" in line)
    assert re.split(r" {2,}", ran)[1:] == ["100", "1.0 ms", "2.0 ms", "200.0 ms"]
    (late,) = (line for line in lines if "was late" in line)
    assert re.split(r" {2,}", late)[1:] == ["0", "-", "-", "-"]


@pytest.mark.parametrize(
    ("quantile", "bound"), [(0.0, 0.1), (0.5, 0.1), (0.51, 1.0), (0.9, 1.0), (0.91, inf)]
)
def test_a_percentile_is_the_bound_of_its_bucket(quantile: float, bound: float) -> None:
    assert percentile({0.1: 5, 1.0: 9, inf: 10}, quantile) == bound


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({0.1: 0, inf: 0}, 0.5) is None


def test_where_nobody_answers_nothing_is_fetched() -> None:
    assert Scraper("http://127.0.0.1:9/metrics").stop() == ""
