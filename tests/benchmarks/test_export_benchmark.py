"""The export benchmark measures what it says it does."""

import pytest

from benchmarks import export
from benchmarks.emitters import KINDS, NOTHING, SDK
from benchmarks.export import Row, broken_promises


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_make_spans_makes_and_sends_as_many_as_it_says(kind: str) -> None:
    said, sink = export._run(kind, "--rate=2000", "--seconds=0.2")
    assert said["made"] > 100
    expected = 0 if kind == NOTHING else said["made"]
    # whence sees the task of the loop itself, and a last root that is still open.
    more = 0 if kind in (NOTHING, SDK) else 2
    assert expected <= sink["spans"] <= expected + more
    assert sink["bytes"] >= 100 * sink["spans"]


def row(kind: str, **figures: float) -> Row:
    made = Row.__new__(Row)
    made.kind = kind
    for name, figure in figures.items():
        setattr(made, name, figure)
    return made


def test_a_promise_that_is_not_held_is_named() -> None:
    held = row("handed over, http", own=90.0, p99=1.1)
    assert list(broken_promises([held])) == []
    broken = row("handed over, http", own=130.0, p99=1.1)
    assert list(broken_promises([broken])) == [
        "handed over, http: own is 130.00, promised are 100.00 at the most"
    ]


def test_a_line_says_how_many_times_less_than_the_sdk_it_takes() -> None:
    figures = {"p99": 1.0, "arrived": 200_000.0, "lost": 0.0}
    sdk = row("SDK, http", own=12_000.0, others=20_000.0, **figures)
    ours = row("handed over, http", own=100.0, others=4_000.0, **figures)
    assert ours.text(sdk).split() == [
        *["handed", "over,", "http", "100", "120x", "4,000", "5.0x", "1.00", "200,000", "0.0%"]
    ]
    assert ours.text(None).split()[-4:] == ["4,000", "1.00", "200,000", "0.0%"]
