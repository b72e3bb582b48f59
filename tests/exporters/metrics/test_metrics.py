"""The table of metrics: what each row says, and that the page for users says the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv._incubating.metrics import (
    cpython_metrics,
    otel_metrics,
    process_metrics,
)

from lives import Lives
from telling import recorded
from whence.engine import ring
from whence.engine.measures import MEASURES, QUEUE_TIME, RUN_TIME, Measure, blocked
from whence.engine.recorder import finish
from whence.engine.resource_types import EXECUTOR_JOB, TASK, known_types, type_named
from whence.exporters.metrics.table import (
    COUNTER,
    DISTRIBUTIONS,
    GAUGE,
    OF_PROCESS,
    OWN,
    UP_DOWN,
    Metric,
)
from whence.exporters.metrics.window import Window

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "metrics.md"
ALL = {metric.name: metric for metric in (*OWN, *OF_PROCESS)}


@pytest.fixture(autouse=True)
def _counted_from_nothing() -> Iterator[None]:
    with recorded():
        for row in known_types():
            row.restart()
        yield
        for row in known_types():
            row.restart()


def values(name: str) -> dict[tuple[Any, ...], float]:
    """What a metric says: the values of the attributes -> the value."""
    window = Window()
    window.look()
    return {tuple(about.values()): value for value, about in ALL[name].read(window)}


def test_names_are_unique_and_their_units_are_base_units() -> None:
    assert len(ALL) == len(OWN) + len(OF_PROCESS)
    for metric in ALL.values():
        assert re.fullmatch(r"s|1|By|\{[a-z_]+\}", metric.unit), metric
        assert metric.kind in (COUNTER, UP_DOWN, GAUGE)
        assert metric.description.endswith("."), metric
        assert metric.name.startswith(("whence.", "otel.sdk.", "process.", "cpython.gc.")), metric


def test_no_name_is_the_beginning_of_another_one() -> None:
    """A store that nests names at their dots could keep only one of the two."""
    names = [*ALL, *(distribution.name for distribution in DISTRIBUTIONS)]
    for name in names:
        assert not [other for other in names if other.startswith(f"{name}.")]


CONVENTIONS = (process_metrics, cpython_metrics, otel_metrics)


class Noting:
    """A Meter that notes what the conventions create."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, str]] = {}

    def __getattr__(self, method: str) -> Any:
        kind = {"counter": COUNTER, "up_down_counter": UP_DOWN, "gauge": GAUGE}.get(
            method.removeprefix("create_").removeprefix("observable_"), "histogram"
        )

        def note(name: str, **more: Any) -> None:
            self.made[name] = (kind, more.get("unit", ""))

        return note


def test_what_is_not_ours_is_as_the_conventions_say() -> None:
    noting = Noting()
    for module in CONVENTIONS:
        for name, create in vars(module).items():
            if name.startswith("create_"):
                arguments: list[Any] = [noting, None][: create.__code__.co_argcount]
                create(*arguments)
    borrowed = [metric for metric in ALL.values() if not metric.name.startswith("whence.")]
    assert len(borrowed) == 13
    for metric in borrowed:
        assert noting.made[metric.name] == (metric.kind, metric.unit)


# What is counted


def test_resources_by_type_and_outcome(lives: Lives) -> None:
    lives.live(1, "a")
    lives.live(1, "b")
    failing = lives.begin("c")
    finish(failing, "failed", failing.created + 1)
    lives.begin("d")
    assert values("whence.resource.created") == {("Task",): 4}
    assert values("whence.resource.active") == {("Task",): 1}
    assert values("whence.resource.destroyed") == {("Task", "done"): 2, ("Task", "failed"): 1}
    assert values("whence.resource.leaked") == {("Task",): 0}


def test_a_type_appears_with_its_first_resource() -> None:
    row = type_named("metric-of-mine")
    assert values("whence.resource.created") == {}
    row.created = row.leaked = 2
    assert values("whence.resource.created") == {("metric-of-mine",): 2}
    assert values("whence.resource.leaked") == {("metric-of-mine",): 2}
    row.created = row.leaked = 0


def test_what_was_destroyed_meanwhile_makes_no_number_negative() -> None:
    TASK.created, TASK.destroyed = 1, 2
    assert values("whence.resource.active") == {("Task",): 0}


def test_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "number", 3)
    assert values("whence.blocked") == {(): 3}


def test_the_queue_of_spans_and_what_found_it_full(lives: Lives) -> None:
    before = values("otel.sdk.processor.span.processed")
    lives.live(2, "kept")
    lives.live(2, "kept too")
    assert list(values("otel.sdk.processor.span.queue.size").values()) == [2]
    assert list(values("otel.sdk.processor.span.queue.capacity").values()) == [ring.capacity]
    ring.drain(1)
    ring.dropped += 5
    grown = {
        key: value - before[key]
        for key, value in values("otel.sdk.processor.span.processed").items()
    }
    assert {key[2:]: value for key, value in grown.items()} == {(): 1, ("queue_full",): 5}
    ring.dropped -= 5


# What is measured


def record(measure: Measure, nanoseconds: int) -> None:
    if measure is QUEUE_TIME:
        assert EXECUTOR_JOB.queue is not None
        EXECUTOR_JOB.queue.record(nanoseconds)
    else:
        TASK.turns.record(*((0, nanoseconds) if measure is RUN_TIME else (nanoseconds, 0)))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: str(measure.name))
def test_times_are_gauges_of_what_came_since_the_last_look(measure: Measure) -> None:
    window = Window()
    for milliseconds in (10, 10, 10, 10, 640):
        record(measure, milliseconds * 1_000_000)
    window.look()

    def value(part: str) -> float:
        ((seconds, about),) = ALL[f"{measure.name}.{part}"].read(window)
        assert about == {}
        return seconds

    assert value("max") == 0.64
    assert value("mean") == pytest.approx(0.136)
    for part in ("min", "p50"):
        assert value(part) == pytest.approx(0.01, rel=0.2)
    assert value("p99") == 0.64
    window.look()
    assert list(ALL[f"{measure.name}.p99"].read(window)) == [], "nothing came: no value"


# The page for users

_ROW = re.compile(r"^\| `([a-z0-9_.]+)` \| `([a-z_]+)` \| ([^|]+) \|", re.MULTILINE)


def prometheus_name(metric: Metric) -> str:
    """As OpenTelemetry's rules for Prometheus have it."""
    units = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}
    total = "_total" if metric.kind == COUNTER else ""
    return metric.name.replace(".", "_") + units.get(metric.unit, "") + total


def test_the_page_has_every_row_of_the_table_and_no_other() -> None:
    told = {name: (shown, kind) for name, shown, kind in _ROW.findall(PAGE.read_text("utf-8"))}
    rows = {
        name: (prometheus_name(metric), f"{metric.kind}, `{metric.unit}`")
        for name, metric in ALL.items()
        if not name.startswith(tuple(f"{measure.name}." for measure in MEASURES))
    }
    assert told == rows


def test_the_page_has_every_time_that_is_measured() -> None:
    page = PAGE.read_text("utf-8")
    for measure in MEASURES:
        assert f"| `{measure.name}` | " in page
