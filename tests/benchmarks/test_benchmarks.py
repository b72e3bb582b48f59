"""The runner of the benchmarks: its order, its arithmetic, its tables. No test asserts a speed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

# The benchmarks are no part of the distribution. At the end, so that nothing installed is hidden.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import measure, memory, variants
from benchmarks.__main__ import exit_code
from benchmarks.interpreters import environment
from benchmarks.processes import run_all
from benchmarks.results import Result, Sample, as_json, summarise
from benchmarks.schedule import Cell, Choice, schedule
from benchmarks.storms import SCENARIOS, batches, shares
from benchmarks.table import tables
from benchmarks.targets import target

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Cell("py", "asyncio", "a", "plain", None)
OFF = PLAIN._replace(variant="off", engine="python")
HOOKS = PLAIN._replace(variant="hooks", engine="python")


def benchmarks(*arguments: str, module: str = "benchmarks") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def choice(engines: Sequence[str] = ("python",), variants: Sequence[str] = ()) -> Choice:
    chosen = variants or ("plain", "off", "hooks", "recorded")
    return Choice("py", ("asyncio",), engines, ("a", "b"), chosen)


def result(cell: Cell, *ratios: float) -> Result:
    return Result(cell, [1000 * ratio for ratio in ratios], list(ratios))


# Arithmetic.


def test_a_sample_is_compared_with_the_plain_one_nearest_before_it() -> None:
    samples = [
        Sample(PLAIN, 100),
        Sample(HOOKS, 200),
        Sample(PLAIN, 400),
        Sample(HOOKS, 1200),
        Sample(OFF, 400),
    ]
    results = summarise(samples)
    assert results[HOOKS].ratios == [2.0, 3.0]
    assert results[OFF].ratios == [1.0]
    assert results[PLAIN].ratios == []


def test_plain_processes_of_another_loop_python_or_scenario_are_not_compared_with() -> None:
    others = [
        PLAIN._replace(loop="uvloop"),
        PLAIN._replace(python="x"),
        PLAIN._replace(scenario="b"),
    ]
    samples = [Sample(PLAIN, 100), *(Sample(other, 7) for other in others), Sample(HOOKS, 200)]
    assert summarise(samples)[HOOKS].ratios == [2.0]


def test_without_a_plain_process_before_it_a_sample_has_no_ratio() -> None:
    found = summarise([Sample(HOOKS, 200), Sample(PLAIN, 100)])[HOOKS]
    assert found.ratio is None
    assert found.median_ns == 200
    assert not found.missed(0)


def test_time_and_ratio_are_medians_over_the_rounds() -> None:
    found = Result(HOOKS, [900, 100, 300], [9.0, 1.004, 3.0])
    assert found.median_ns == 300
    assert found.ratio == 3.0
    assert found.spread == 8.0


def test_a_target_is_missed_beyond_the_slack_only() -> None:
    assert target("python", "hooks", "asyncio", "a") == 2.4
    assert not result(HOOKS, 2.40).missed(0)
    assert result(HOOKS, 2.45).missed(0)
    assert not result(HOOKS, 2.45).missed(0.05)
    assert result(HOOKS, 2.60).missed(0.05)


def test_a_ratio_is_judged_as_it_is_shown() -> None:
    assert not result(OFF, 1.004).missed(0)
    assert result(OFF, 1.006).missed(0)


def test_off_is_promised_everywhere_and_other_states_where_the_design_says() -> None:
    assert target("c", "off", "uvloop", "f") == 1.0
    assert target("c", "recorded", "uvloop", "b") == 1.2
    assert target("c", "recorded", "asyncio", "a") == 0.6
    assert target("python", "hooks", "uvloop", "a") is None
    assert target(None, "plain", "asyncio", "a") is None


def test_the_exit_code_tells_of_failures_always_and_of_missed_targets_under_check() -> None:
    missed, failed = [result(HOOKS, 2.6)], {HOOKS: "exit code 1"}
    assert exit_code(missed, {}, check=False, slack=0.05) == 0
    assert exit_code(missed, {}, check=True, slack=0.05) == 1
    assert exit_code(missed, {}, check=True, slack=0.1) == 0
    assert exit_code([], failed, check=False, slack=0.05) == 1


# Order.


def test_every_round_runs_every_cell_once_and_a_plain_one_first() -> None:
    order = [(cell.scenario, cell.variant) for cell in schedule([choice()], 1)]
    states = ["plain", "off", "hooks", "recorded"]
    assert order == [(scenario, state) for scenario in "ab" for state in states]


def test_the_order_of_the_states_turns_from_round_to_round() -> None:
    order = [cell.variant for cell in schedule([choice()], 3) if cell.scenario == "a"]
    assert order == [
        *("plain", "off", "hooks", "recorded"),
        *("plain", "hooks", "recorded", "off"),
        *("plain", "recorded", "off", "hooks"),
    ]


def test_no_process_is_farther_than_three_from_its_plain_one() -> None:
    order = [cell.variant for cell in schedule([choice(engines=("python", "c"))], 1)]
    assert len(order) == 2 * 8
    assert all("plain" in order[max(0, at - 3) : at + 1] for at in range(len(order)))


def test_what_has_no_engine_runs_once_in_a_round_whatever_the_engines() -> None:
    chosen = choice(engines=("python", "c"), variants=("plain", "opentelemetry"))
    cells = [cell for cell in schedule([chosen], 1) if cell.scenario == "a"]
    assert [(cell.variant, cell.engine) for cell in cells] == [
        ("plain", None),
        ("opentelemetry", None),
    ]


def test_plain_alone_runs_once_in_a_round_whatever_the_engines() -> None:
    order = list(schedule([choice(engines=("python", "c"), variants=("plain",))], 2))
    assert order == [PLAIN, PLAIN._replace(scenario="b")] * 2


# Text.


def test_the_table_shows_time_ratio_target_and_a_mark() -> None:
    cells = [PLAIN, OFF, HOOKS, PLAIN._replace(scenario="b"), OFF._replace(scenario="b")]
    figures = [
        result(cells[0], 1.0, 1.1),
        result(cells[1], 1.02, 1.02),
        result(cells[2], 3.0, 3.1),
        result(cells[3], 2.0, 2.0),
        result(cells[4], 0.98, 0.98),
    ]
    found = dict(zip(cells, figures, strict=True))
    chosen = choice(variants=("plain", "off", "hooks"))
    (table,) = tables(chosen, "CPython 3.99", found, 0.05)
    assert table.splitlines() == [
        "CPython 3.99, loop asyncio, engine python",
        "CPU ns of one unit, ratio to plain, (target)",
        "                plain                       off                     hooks",
        "a call_soon     1,050     1,020  1.02  (1.00) ~     3,050  3.05  (2.40) !",
        "b task          2,000       980  0.98  (1.00)                    failed",
        "noise: the slowest plain process was up to 10% above the fastest (in a)",
    ]


def test_there_is_a_table_for_each_loop_and_engine() -> None:
    chosen = choice(engines=("python", "c"))._replace(loops=("asyncio", "uvloop"))
    heads = [table.splitlines()[0] for table in tables(chosen, "CPython 3.99", {}, 0)]
    assert heads == [
        f"CPython 3.99, loop {loop}, engine {engine}"
        for loop in ("asyncio", "uvloop")
        for engine in ("python", "c")
    ]


def test_every_figure_is_in_the_json() -> None:
    (row,) = as_json([Result(HOOKS, [200.0, 300.0], [2.0, 3.0])])
    assert json.loads(json.dumps(row)) == {
        "python": "py",
        "loop": "asyncio",
        "scenario": "a",
        "variant": "hooks",
        "engine": "python",
        "median_ns": 250.0,
        "ratio": 2.5,
        "target": 2.4,
        "ns_per_unit": [200.0, 300.0],
        "ratios": [2.0, 3.0],
    }


# Scenarios and states.


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_storm_does_as_many_units_as_it_was_asked_for(name: str) -> None:
    for package in SCENARIOS[name].needs:
        pytest.importorskip(package)
    with asyncio.Runner() as runner:
        assert runner.run(measure.timed(SCENARIOS[name], 23)) > 0


def test_units_are_split_without_losing_one() -> None:
    assert list(batches(250, 100)) == [100, 100, 50]
    assert shares(23, 10) == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]


def test_whatever_stays_changed_in_asyncio_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = variants.patchable()
    assert variants.changed_places(stock, variants.patchable()) == []
    monkeypatch.setattr(asyncio.BaseEventLoop, "call_soon", asyncio.BaseEventLoop.call_at)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_future", asyncio.Future, raising=False)
    changed = variants.changed_places(stock, variants.patchable())
    assert ("asyncio.base_events.BaseEventLoop", "call_soon") in changed
    assert any(attribute == "create_future" for _, attribute in changed)


def test_memory_is_flat_as_long_as_no_round_is_above_the_first_by_more_than_allowed() -> None:
    assert memory.is_flat([100, 90, 150], allowed=50)
    assert not memory.is_flat([100, 151, 100], allowed=50)
    assert memory.is_flat([None, None], allowed=0)


# The whole of it, for real.


def test_a_run_prints_a_table_and_writes_the_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    run = benchmarks(
        *("--rounds=2", "--scale=0.002", "--scenarios=a,c", "--engine=python"),
        *("--variants=off,hooks,recorded", f"--json={figures}"),
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].endswith("loop asyncio, engine python")
    assert lines[2].split()[:4] == ["plain", "off", "hooks", "recorded"]
    assert lines[3].startswith("a call_soon")
    assert lines[4].startswith("c future")
    assert "failed" not in run.stdout
    rows = json.loads(figures.read_text())
    assert len(rows) == 2 * 4
    assert all(len(row["ns_per_unit"]) == 2 and min(row["ns_per_unit"]) > 0 for row in rows)
    assert all(len(row["ratios"]) == 2 for row in rows if row["variant"] != "plain")


def test_a_process_that_fails_is_told_once_and_not_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = PLAIN._replace(python=sys.executable, loop="no such loop")
    right = wrong._replace(loop="asyncio")
    failures: dict[Cell, str] = {}
    samples = list(run_all([wrong, right, wrong], 0.0001, failures))
    assert [sample.cell for sample in samples] == [right]
    assert list(failures) == [wrong]
    (line,) = capsys.readouterr().err.splitlines()
    assert "no such loop" in line
    assert f"to see it again: {sys.executable} -m benchmarks.measure a plain" in line


def test_a_state_that_was_not_entered_makes_the_process_fail() -> None:
    # Whence is imported here by a module that the plain program would not have.
    code = "import sys; sys.modules['whence'] = sys; from benchmarks import measure; measure.main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "a", "plain", "--units=10"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == ("plain: expected a program without whence, but whence was imported\n")


def test_a_memory_check_prints_a_line_for_each_round_and_whether_it_held() -> None:
    run = benchmarks("tasks", "--rounds=2", "--tasks=2000", module="benchmarks.memory")
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[:2] for line in lines[1:-1]] == [["round", "1"], ["round", "2"]], run.stderr
    assert lines[-1] == ["held"]
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (["--rounds=0"], "--rounds: expected a whole number of at least 1, not '0'"),
        (["--scale=nan"], "--scale: expected a number above 0, not 'nan'"),
        (["--slack=x"], "--slack: expected a percentage such as 5, not 'x'"),
        (["--variants=of"], "expected some of plain,off,hooks,recorded,opentelemetry, not 'of'"),
        (["--loop=trio"], "--loop: expected some of asyncio,uvloop, not 'trio'"),
        (["--python=nowhere"], "--python: expected a Python to run, not 'nowhere'"),
        (["--json=nowhere/x.json"], "--json: cannot write nowhere/x.json: No such file"),
    ],
)
def test_a_wrong_option_is_one_line(wrong: list[str], line: str) -> None:
    run = benchmarks(*wrong)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert line in run.stderr
