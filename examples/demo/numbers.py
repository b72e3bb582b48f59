"""The shop in numbers: what it offered for Prometheus to scrape, as a table for a person.

    made           921 Handle, 714 Future, 383 Task, 150 TimerHandle, 127 ExecutorJob
    blocked        7 times, for over 100 ms

                                   times        p50        p90        p99
    a step or callback ran for     5 310     131 µs     524 µs     4.2 ms

A `Scraper` fetches the metrics again and again, as Prometheus would, because they end with the
process; `table` makes text of what it fetched last.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from textwrap import fill
from threading import Event, Thread
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

_EVERY = 0.25
"""Seconds between two scrapes."""
_COLUMNS = 100
_HEAD = 15

_TIMES = (
    ("whence_eventloop_delay", "the loop was late by"),
    ("whence_callback_run_time", "a step or callback ran for"),
    ("whence_callback_ready_time", "it waited for its turn"),
    ("whence_executor_queue_time", "a job waited for a thread"),
)


class Sample(NamedTuple):
    """A series and its value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scraper:
    """Fetches the metrics at an address until it is stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = build_opener(ProxyHandler({})).open
        self._stopping = Event()
        self._text = ""
        self._thread = Thread(target=self._scrape, daemon=True)
        self._thread.start()

    def stop(self) -> str:
        """End; gives what was fetched last, which is nothing if nobody ever answered."""
        self._stopping.set()
        self._thread.join()
        return self._text

    def _scrape(self) -> None:
        while not self._stopping.wait(_EVERY):
            try:
                with self._open(self._url, timeout=1) as answer:
                    self._text = answer.read().decode()
            except (OSError, URLError):
                pass  # It is not open yet, or no longer.


def samples_of(text: str) -> list[Sample]:
    """What Prometheus would read in it."""
    from prometheus_client.parser import text_string_to_metric_families

    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def table(samples: Sequence[Sample]) -> str:
    """Text of what was made, how it ended, and how long things took."""
    lines = [
        _line("made", _by(samples, "whence_resource_created_total", "whence_type")),
        _line("ended", _by(samples, "whence_resource_destroyed_total", "whence_outcome")),
        _line("never settled", _by(samples, "whence_resource_leaked_total", "whence_type")),
        _line("blocked", f"{_total(samples, 'whence_blocked_total'):.0f} times, for over 100 ms"),
        "",
        f"{'':<28}{'times':>8}{'p50':>11}{'p90':>11}{'p99':>11}",
    ]
    for name, words in _TIMES:
        buckets = _buckets(samples, f"{name}_distribution_seconds_bucket")
        count = max(buckets.values(), default=0)
        times = "".join(f"{_duration(percentile(buckets, q)):>11}" for q in (0.5, 0.9, 0.99))
        lines.append(f"{words:<28}{_number(count):>8}{times}")
    return "\n".join(lines)


def percentile(buckets: Mapping[float, float], quantile: float) -> float | None:
    """The bound of the bucket that holds it: what took longest in it took no longer.

    `buckets` are cumulative, by upper bound, as Prometheus has them."""
    count = max(buckets.values(), default=0)
    for bound in sorted(buckets):
        if count and buckets[bound] >= quantile * count:
            return bound
    return None


def _line(head: str, text: str) -> str:
    indent = " " * _HEAD
    return fill(f"{head:<{_HEAD}}{text or '-'}", _COLUMNS, subsequent_indent=indent)


def _by(samples: Iterable[Sample], name: str, label: str) -> str:
    numbers: dict[str, float] = {}
    for sample in samples:
        if sample.name == name:
            what = sample.labels.get(label, "")
            numbers[what] = numbers.get(what, 0) + sample.value
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    return ", ".join(f"{_number(number)} {what}" for what, number in ranked if number)


def _total(samples: Iterable[Sample], name: str) -> float:
    return sum(sample.value for sample in samples if sample.name == name)


def _buckets(samples: Iterable[Sample], name: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for sample in samples:
        if sample.name == name:
            bound = float(sample.labels["le"])
            found[bound] = found.get(bound, 0) + sample.value
    return found


def _number(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")


def _duration(seconds: float | None) -> str:
    if seconds is None or seconds == inf:
        return "-"
    return f"{seconds * 1e6:.0f} µs" if seconds < 0.001 else f"{seconds * 1e3:.1f} ms"
