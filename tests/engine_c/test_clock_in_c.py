"""The clock of the engine in C: hours of it, made of pairs of readings, in no time.

A machine here is what its counter and its monotonic clock say at a moment.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

_engine = pytest.importorskip("whence._engine")

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND


class Machine:
    """Its counter goes `frequency` times a second, and its clock is slewed by `slew`."""

    def __init__(
        self,
        frequency: float = 2.9e9,
        slew: Callable[[int], float] = lambda true: 0.0,
        jitter: int = 0,
    ) -> None:
        self.true = 0
        self.ticks = 10**12
        self.monotonic = 5.0 * 10**13
        self.frequency = frequency
        self.calibration = _engine.Calibration()
        self.readings: list[tuple[int, int]] = []
        self._slew = slew
        self._random = random.Random(1)
        self._jitter = jitter

    def wait(self, nanoseconds: int) -> None:
        """Let time pass; in steps small enough for a changing slew."""
        while nanoseconds > 0:
            step = min(nanoseconds, 10 * SECOND)
            self.ticks += round(step * self.frequency / SECOND)
            self.monotonic += step * (1.0 + self._slew(self.true))
            self.true += step
            nanoseconds -= step

    def read(self) -> int:
        """Read the time; how far it is from the monotonic clock."""
        seen = round(self.monotonic) + self._random.randint(-self._jitter, self._jitter)
        now: int = self.calibration.read(self.ticks, seen)
        self.readings.append((now, round(self.monotonic)))
        return now - round(self.monotonic)

    def furthest(self) -> int:
        """The furthest that it has been from the monotonic clock."""
        return max(abs(now - monotonic) for now, monotonic in self.readings)

    def backwards(self) -> int:
        """How often it has gone backwards."""
        times = [now for now, _ in self.readings]
        return sum(later < earlier for earlier, later in itertools.pairwise(times))


def busy(machine: Machine, seconds: float, gap: int = 3 * MILLISECOND) -> None:
    """Read it over and over."""
    for _ in range(int(seconds * SECOND / gap)):
        machine.wait(gap)
        machine.read()


@pytest.mark.parametrize("frequency", [25e6, 1e9, 2.1e9, 2_899_999_999.7, 5.7e9])
def test_of_whatever_frequency_it_keeps_time(frequency: float) -> None:
    machine = Machine(frequency)
    busy(machine, 60)
    assert machine.calibration.source == "tsc"
    assert machine.furthest() <= 3 * max(1, SECOND / frequency)
    assert machine.backwards() == 0


@pytest.mark.parametrize("slew", [0.0005, -0.0005])
def test_over_hours_of_a_slewed_clock_it_is_less_than_a_millisecond_off(slew: float) -> None:
    """Slewing comes and goes every ten minutes, as fast as a system does it."""
    machine = Machine(slew=lambda true: slew if true // (600 * SECOND) % 2 else 0.0)
    for _ in range(6 * 3600 * 2):
        machine.wait(SECOND // 2)
        machine.read()
    assert machine.calibration.source == "tsc"
    assert machine.furthest() < MILLISECOND
    assert machine.backwards() == 0


def test_what_is_read_with_jitter_is_smooth() -> None:
    """A pair is never read at one moment: half a microsecond off is usual, on a busy machine."""
    machine = Machine(jitter=500)
    busy(machine, 120)
    assert machine.furthest() < 5 * MICROSECOND
    assert machine.backwards() == 0
    settled = machine.readings[len(machine.readings) // 2 :]
    steps = [
        (later - earlier) - (true_later - true_earlier)
        for (earlier, true_earlier), (later, true_later) in itertools.pairwise(settled)
    ]
    assert max(map(abs, steps)) < 100, "no step: 3 ms are 3 ms, but for the catching up"


@pytest.mark.parametrize("idle", [SECOND // 2, 3 * SECOND, 90 * SECOND, 12 * HOUR])
def test_after_having_been_idle_it_is_right_at_once(idle: int) -> None:
    machine = Machine(slew=lambda true: 0.0003)
    busy(machine, 10)
    machine.wait(idle)
    assert abs(machine.read()) < 500 * MICROSECOND
    busy(machine, 10)
    assert machine.calibration.source == "tsc"
    assert machine.furthest() < 500 * MICROSECOND
    assert machine.backwards() == 0


@pytest.mark.parametrize(
    "jump",
    [-(10**12), -5 * 10**9, 5 * 10**9, 10**15],
    ids=["to another machine", "back", "ahead", "far ahead"],
)
def test_where_the_counter_jumps_it_is_the_systems_clock_for_good(jump: int) -> None:
    machine = Machine()
    busy(machine, 10)
    machine.ticks += jump
    machine.read()
    busy(machine, 10)
    assert machine.calibration.source == "system"
    assert machine.read() == 0
    assert machine.backwards() == 0


def test_where_the_counter_goes_on_while_the_machine_is_suspended_it_is_not_used() -> None:
    machine = Machine()
    busy(machine, 10)
    machine.ticks += int(60 * machine.frequency)
    assert abs(machine.read()) < MICROSECOND
    assert machine.calibration.source == "system"


def test_a_machine_whose_counter_goes_at_another_speed_is_told() -> None:
    machine = Machine(2.0e9)
    busy(machine, 10)
    machine.frequency = 3.0e9
    busy(machine, 10)
    assert machine.calibration.source == "system"
    assert machine.read() == 0
    assert machine.backwards() == 0


@pytest.mark.parametrize("frequency", [0.0, 1e5, 1e11])
def test_what_is_no_counter_of_nanoseconds_is_not_used(frequency: float) -> None:
    machine = Machine(frequency)
    busy(machine, 1)
    assert machine.calibration.source == "system"
    assert machine.furthest() == 0


def test_at_first_every_reading_is_the_systems() -> None:
    machine = Machine()
    for _ in range(5):
        assert machine.read() == 0
        machine.wait(MILLISECOND)


@pytest.fixture
def clock() -> Iterator[Callable[[], int]]:
    """The clock of this machine, calibrated anew."""
    _engine.use_clock(None)
    return _engine.clock  # type: ignore[no-any-return]


def test_it_is_the_clock_of_this_machine(clock: Callable[[], int]) -> None:
    """Read in between two readings of Python's, it lies in between."""
    until = time.monotonic_ns() + SECOND // 4
    off: list[int] = []
    while (before := time.monotonic_ns()) < until:
        now = clock()
        after = time.monotonic_ns()
        off.append(max(before - now, now - after, 0))
    off.sort()
    assert off[len(off) * 99 // 100] < 20 * MICROSECOND
    assert _engine.clock_source() in ("tsc", "system")


def test_in_no_thread_it_goes_backwards(clock: Callable[[], int]) -> None:
    wrong: list[int] = []

    def read() -> None:
        last = clock()
        for _ in range(20_000):
            now = clock()
            if now < last:
                wrong.append(last - now)
            last = now

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_test_may_read_another_clock(clock: Callable[[], int]) -> None:
    _engine.use_clock(lambda: 17)
    try:
        assert clock() == 17
    finally:
        _engine.use_clock(None)
    assert abs(clock() - time.monotonic_ns()) < SECOND
