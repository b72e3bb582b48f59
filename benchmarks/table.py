"""The tables that are printed: one for each Python, loop and engine, a line for each scenario."""

from collections.abc import Iterable, Mapping, Sequence

from .results import Result
from .schedule import Cell, Choice
from .storms import SCENARIOS
from .variants import PLAIN, VARIANTS

LEGEND = "! target missed   ~ above the target by no more than the slack of {:.0%}"


def tables(
    choice: Choice, version: str, results: Mapping[Cell, Result], slack: float
) -> Iterable[str]:
    """Yield the tables of one Python."""
    for loop in choice.loops:
        for engine in choice.engines:
            yield "\n".join(_table(choice, version, loop, engine, results, slack))


def _table(
    choice: Choice,
    version: str,
    loop: str,
    engine: str,
    results: Mapping[Cell, Result],
    slack: float,
) -> Iterable[str]:
    yield f"{version}, loop {loop}, engine {engine}"
    yield "CPU ns of one unit, ratio to plain, (target)"
    yield f"{'':12}" + "".join(f"{name:>{9 if name == PLAIN else 26}}" for name in choice.variants)
    plains = []
    for scenario in choice.scenarios:
        line = f"{scenario} {SCENARIOS[scenario].unit:10}"
        for variant in choice.variants:
            cell = Cell(choice.python, loop, scenario, variant, engine)
            if not VARIANTS[variant].has_engine:
                cell = cell._replace(engine=None)
            result = results.get(cell)
            line += _figure(cell, result, slack)
            if variant == PLAIN and result is not None:
                plains.append(result)
        yield line.rstrip()
    if any(len(result.ns_per_unit) > 1 for result in plains):
        yield _noise(plains)


def _figure(cell: Cell, result: Result | None, slack: float) -> str:
    width = 9 if cell.variant == PLAIN else 24
    if result is None:
        return f"{'failed':>{width}}" + ("" if cell.variant == PLAIN else "  ")
    if cell.variant == PLAIN:
        return f"{result.median_ns:9,.0f}"
    ratio = "-" if result.ratio is None else f"{result.ratio:.2f}"
    promised = "" if result.target is None else f"({result.target:.2f})"
    return f"{result.median_ns:10,.0f}{ratio:>6}{promised:>8} {_mark(result, slack):1}"


def _mark(result: Result, slack: float) -> str:
    if result.missed(slack):
        return "!"
    return "~" if result.excess() else ""


def _noise(plains: Sequence[Result]) -> str:
    widest = max(plains, key=lambda result: result.spread)
    return (
        f"noise: the slowest plain process was up to {widest.spread:.0%} above the fastest"
        f" (in {widest.cell.scenario})"
    )
