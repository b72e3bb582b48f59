"""Durations in slots of powers of two."""

import random
import threading

import pytest

from whence.engine.histograms import SLOTS, Histogram, Snapshot

MS = 1_000_000


def of(*nanoseconds: int) -> Histogram:
    histogram = Histogram()
    for value in nanoseconds:
        histogram.record(value)
    return histogram


def test_an_empty_one_is_zero_everywhere() -> None:
    empty = Histogram().snapshot()
    assert (empty.count, empty.sum, empty.mean, empty.min, empty.max) == (0, 0, 0, 0, 0)
    assert empty.percentile(50) == 0
    assert empty.buckets() == []


def test_number_sum_and_mean_are_exact_in_seconds() -> None:
    told = of(1 * MS, 2 * MS, 6 * MS).snapshot()
    assert told.count == 3
    assert told.sum == pytest.approx(0.009)
    assert told.mean == pytest.approx(0.003)


def test_outliers_are_exact() -> None:
    told = of(3, *[1000] * 500, 7 * MS + 1).snapshot()
    assert told.min == 3e-9
    assert told.max == 0.007000001
    assert told.percentile(100) == 0.007000001


def test_nothing_up_to_the_longest_duration_is_out_of_range() -> None:
    told = of(0, 1, 2**63 - 1).snapshot()
    assert (told.count, len(told.counts)) == (3, SLOTS)
    assert told.min == 0
    assert told.max == pytest.approx((2**63 - 1) / 1e9)


@pytest.mark.parametrize("p", [0, 1, 50, 90, 99, 99.9, 100])
def test_a_percentile_is_in_the_slot_of_the_true_one(p: float) -> None:
    chance = random.Random(1)
    values = sorted(int(chance.lognormvariate(12, 2)) for _ in range(5000))
    true = values[max(0, -(-len(values) * p // 100).__trunc__() - 1)]
    found = of(*values).snapshot().percentile(p) * 1e9
    assert 1 << true.bit_length() >> 1 <= round(found) <= 1 << true.bit_length()


def test_percentiles_of_one_repeated_value_near_it() -> None:
    told = of(*[1000] * 100).snapshot()
    assert told.percentile(50) == pytest.approx(1e-6, rel=0.001)
    assert told.min <= told.percentile(1) <= told.percentile(99) <= told.max


@pytest.mark.parametrize("p", [-1, 101, float("nan")])
def test_a_percentile_out_of_range_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="expected a percentile from 0 to 100, not"):
        of(1).snapshot().percentile(p)


def test_each_reader_sees_what_came_since_it_last_looked() -> None:
    histogram = of(5 * MS)
    one = other = histogram.snapshot()
    histogram.record(1 * MS)
    later = histogram.snapshot()
    assert ((later - one).count, (later - one).max) == (1, 0.001)
    histogram.record(2 * MS)
    last = histogram.snapshot()
    assert ((last - later).count, (last - other).count) == (1, 2)
    assert one.count == 1, "a snapshot never changes"


def test_two_together_are_as_one() -> None:
    both = of(1, 70, MS).snapshot() + of(MS, 2 * MS).snapshot()
    one = of(1, 70, MS, MS, 2 * MS).snapshot()
    assert (both.counts, both.sums) == (one.counts, one.sums)
    assert sum([both, one], Snapshot()).count == 10


def test_buckets_go_from_the_smallest_to_the_largest_without_a_gap() -> None:
    assert of(3, 3, 17).snapshot().buckets() == [(4e-9, 2), (8e-9, 0), (16e-9, 0), (32e-9, 1)]


def test_clearing_keeps_the_lists_that_others_hold() -> None:
    histogram = of(1, 2)
    counts = histogram.counts
    histogram.clear()
    assert histogram.counts is counts
    assert histogram.snapshot().count == histogram.snapshot().sum == 0


def test_a_reader_among_writers_sees_every_value_once() -> None:
    histogram = Histogram()
    together = threading.Barrier(5)

    def write() -> None:
        together.wait()
        for _ in range(20_000):
            histogram.record(1000)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    last, total = Snapshot(), 0
    together.wait()
    while last.count < 80_000 and any(writer.is_alive() for writer in writers):
        seen = histogram.snapshot()
        total += (seen - last).count
        last = seen
    for writer in writers:
        writer.join()
    seen = histogram.snapshot()
    assert total + (seen - last).count == seen.count == 80_000
    assert seen.sum == pytest.approx(0.08)
