"""What two looks make: pure numbers."""

from typing import Any

import pytest

from terminal_data import pulse, resource, slots
from whence.terminal.readings import HISTORY, Readings


def table(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resources": list(resources), "left_out": 0, "counts": {}}


def test_rates_are_between_the_last_two_looks() -> None:
    readings = Readings()
    first = readings.add(pulse(10.0, Task=(100, 90, 0)), table())
    assert [(row.open, row.created, row.destroyed) for row in first.types] == [(10, 0.0, 0.0)]
    second = readings.add(pulse(12.0, Task=(130, 100, 3)), table())
    (row,) = second.types
    assert (row.open, row.created, row.destroyed, row.leaked) == (30, 15.0, 5.0, 3)
    assert row.history == (10, 30)


def test_a_type_that_is_new_has_a_rate() -> None:
    readings = Readings()
    readings.add(pulse(10.0), table())
    (row,) = readings.add(pulse(11.0, Server=(2, 0, 0)), table()).types
    assert (row.type, row.created) == ("Server", 2.0)


def test_types_with_the_most_open_come_first() -> None:
    reading = Readings().add(
        pulse(1.0, Task=(5, 0, 0), Future=(9, 0, 0), Server=(5, 0, 0)), table()
    )
    assert [row.type for row in reading.types] == ["Future", "Server", "Task"]


def test_the_delay_is_of_the_time_between() -> None:
    readings = Readings()
    readings.add(pulse(1.0, delay=slots({1_000_000_000: 5})), table())
    reading = readings.add(pulse(2.0, delay=slots({1_000_000_000: 5, 2_000_000: 4})), table())
    assert reading.delay.count == 4
    assert reading.delay.max == pytest.approx(0.002, rel=0.5)
    assert reading.delay_history[-1] == reading.delay.percentile(99)


def test_busy_is_that_of_the_busiest_loop() -> None:
    readings = Readings()
    readings.add(pulse(1.0, busy={7: 1.0, 8: 1.0}), table())
    reading = readings.add(pulse(2.0, busy={7: 1.25, 8: 1.75}), table())
    assert reading.busy == pytest.approx(0.75)
    assert reading.busy_history == (0.0, reading.busy)
    # A loop of a thread that is new, and one that is gone.
    assert readings.add(pulse(3.0, busy={9: 0.5}), table()).busy == pytest.approx(0.5)
    assert readings.add(pulse(4.0, busy={}), table()).busy == 0.0


def test_two_looks_at_one_moment_have_no_rates() -> None:
    readings = Readings()
    readings.add(pulse(1.0, Task=(1, 0, 0)), table())
    (row,) = readings.add(pulse(1.0, Task=(5, 0, 0)), table()).types
    assert row.created == 0.0


def test_history_is_bounded() -> None:
    readings = Readings()
    for second in range(HISTORY + 50):
        reading = readings.add(pulse(float(second), Task=(second, 0, 0)), table(resource(2)))
    assert len(reading.types[0].history) == len(reading.busy_history) == HISTORY
