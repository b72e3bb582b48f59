"""The export benchmark measures what it says it does."""

import pytest

from benchmarks import export
from benchmarks.emitters import KINDS, NOTHING, SDK
from benchmarks.export import Row, Way, broken_promises
from whence.engine import twin

ENGINE = "c" if twin.IN_C else "python"


@pytest.mark.parametrize("how", [(), ("--most",)], ids=["busy", "most"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_make_spans_makes_and_sends_as_many_as_it_says(
    kind: str, how: tuple[str, ...]
) -> None:
    way = Way(kind, None if kind in (NOTHING, SDK) else ENGINE)
    said, sink = export._run(way, "--rate=2000", "--seconds=0.2", *how, room=100_000)
    assert said["made"] > 100
    expected = 0 if kind == NOTHING else said["made"]
    # whence sees the task of the loop itself, and a last root that is still open.
    more = 0 if kind in (NOTHING, SDK) else 2
    assert expected <= sink["spans"] <= expected + more
    assert sink["bytes"] >= 100 * sink["spans"]


def row(way: Way, **figures: float) -> Row:
    made = Row.__new__(Row)
    made.way = way
    for name, figure in figures.items():
        setattr(made, name, figure)
    return made


def test_a_promise_that_is_not_held_is_named() -> None:
    handed_over = Way("handed over, http", "python")
    held = row(handed_over, own=90.0, p99=1.1)
    assert list(broken_promises([held])) == []
    broken = row(handed_over, own=130.0, p99=1.1)
    assert list(broken_promises([broken])) == [
        "handed over, http, python: own is 130.00, promised are 100.00 at the most"
    ]


def test_each_engine_has_promises_of_its_own() -> None:
    slow = row(Way("whence, http", "c"), later=80.0, lost=0.25)
    assert list(broken_promises([slow])) == [
        "whence, http, c: later is 80.00, promised are 50.00 at the most",
        "whence, http, c: lost is 0.25, promised are 0.00 at the most",
    ]


def test_each_engine_has_a_line_and_the_sdk_has_one() -> None:
    assert export.ways(["whence, http", SDK], ["python", "c"]) == [
        Way(NOTHING, None),
        Way("whence, http", "python"),
        Way("whence, http", "c"),
        Way(SDK, None),
    ]


def test_a_line_says_how_many_times_less_than_the_sdk_it_takes() -> None:
    figures = {"p99": 1.0, "later": 12.0, "arrived": 200_000.0, "lost": 0.0}
    sdk = row(Way(SDK, None), own=12_000.0, others=20_000.0, **figures)
    ours = row(Way("handed over, http", "c"), own=100.0, others=4_000.0, **figures)
    assert ours.text(sdk).split() == [
        *["handed", "over,", "http,", "c", "100", "120x", "4,000", "5.0x"],
        *["1.00", "+12", "200,000", "0.0%"],
    ]
    assert ours.text(None).split()[-5:] == ["4,000", "1.00", "+12", "200,000", "0.0%"]
