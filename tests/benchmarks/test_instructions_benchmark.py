"""The benchmark in instructions: what it runs, and how it judges.  Valgrind itself runs in CI."""

import subprocess
import sys
from pathlib import Path

import pytest

# The benchmarks are no part of the distribution. At the end, so that nothing installed is hidden.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import bounds, counted, instructions
from benchmarks.instructions import Cell, Ratio, cells, complaints, exceeds, line
from benchmarks.interpreters import ROOT, environment

RECORDED = Cell("a", "recorded", "c")


def test_each_scenario_begins_with_the_plain_program() -> None:
    assert cells(["a", "b"], ["recorded", "hooks"], ["c"]) == [
        Cell("a"),
        Cell("a", "recorded", "c"),
        Cell("a", "hooks", "c"),
        Cell("b"),
        Cell("b", "recorded", "c"),
        Cell("b", "hooks", "c"),
    ]


def test_ratios_are_to_the_plain_program_of_the_same_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {
        Cell("a"): 200.0,
        RECORDED: 100.0,
        Cell("b"): 1000.0,
        Cell("b", "recorded", "c"): 1500.0,
    }
    monkeypatch.setattr(instructions, "count", taken.__getitem__)
    found = list(instructions.ratios(list(taken), "0.0"))
    assert [(each.cell.scenario, each.ratio) for each in found] == [
        ("a", 1.0),
        ("a", 0.5),
        ("b", 1.0),
        ("b", 1.5),
    ]


def test_a_ratio_may_be_above_its_bound_by_the_slack() -> None:
    assert not exceeds(Ratio(RECORDED, 1.0, 1.05, 1.0), 0.05)
    assert exceeds(Ratio(RECORDED, 1.0, 1.051, 1.0), 0.05)
    assert not exceeds(Ratio(RECORDED, 1.0, 9.0, None), 0.05)


def test_what_is_above_its_bound_or_has_none_is_said_on_a_line_each() -> None:
    found = [
        Ratio(Cell("a"), 200.0, 1.0, None),
        Ratio(RECORDED, 120.0, 0.6, 0.5),
        Ratio(Cell("a", "hooks", "c"), 160.0, 0.8, 0.8),
        Ratio(Cell("b", "hooks", "c"), 160.0, 0.8, None),
    ]
    assert complaints(found, "3.12", 0.05) == [
        "a recorded c on 3.12: expected a ratio of 0.500 at most, and 5% more; it is 0.600",
        "b hooks c on 3.12: expected a bound in bounds.json, which --write makes",
    ]


def test_a_line_shows_the_figure_its_ratio_its_bound_and_a_mark() -> None:
    shown = line(Ratio(RECORDED, 1234.4, 0.6, 0.5), 0.05).split()
    assert shown == ["a", "call_soon", "recorded", "c", "1,234", "0.600", "(0.500)", "!"]


def test_what_is_written_is_the_bound_of_the_next_run_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "bounds.json"
    before: bounds.Bounds = {"3.11": {"c": {"recorded": {"a": 0.4}}}}
    bounds.write(before, file)
    found = [Ratio(Cell("a"), 2.0, 1.0, None), Ratio(RECORDED, 1.0, 0.5, None)]
    instructions.keep(found, "3.12", file)
    after = bounds.read(file)
    assert after == before | {"3.12": {"c": {"recorded": {"a": 0.5}}}}
    assert bounds.find(after, "3.12", "c", "recorded", "a") == 0.5
    assert bounds.find(after, "3.13", "c", "recorded", "a") is None


def test_every_python_has_a_bound_for_each_ratio_of_the_engine_in_c() -> None:
    known = bounds.read()
    missing = [
        (python, cell)
        for python in ("3.11", "3.12", "3.13")
        for cell in cells(list(instructions.UNITS), instructions.VARIANTS, ["c"])
        if cell.engine
        and bounds.find(known, python, cell.engine, cell.variant, cell.scenario) is None
    ]
    assert missing == []


def test_what_is_collected_is_called_once_and_its_result_given_on() -> None:
    calls: list[int] = []

    def once() -> int:
        calls.append(1)
        return 7

    assert counted.collect(once) == 7
    assert calls == [1]


def count(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.counted", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_process_that_is_counted_does_its_units_in_its_state() -> None:
    ran = count("b", "recorded", "--units=20", "--engine=python")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_another_engine_than_the_one_asked_for_is_not_counted() -> None:
    ran = count("a", "hooks", "--units=20", "--engine=rust")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("hooks: expected the engine rust, but ")
