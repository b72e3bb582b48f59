"""From the times of single processes to one ratio for each cell."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from .schedule import Cell
from .targets import target


class Sample(NamedTuple):
    """What one process measured."""

    cell: Cell
    ns_per_unit: float


class Result(NamedTuple):
    """All that is known of one cell."""

    cell: Cell
    ns_per_unit: list[float]
    ratios: list[float]

    @property
    def median_ns(self) -> float:
        """The median CPU nanoseconds of one unit."""
        return median(self.ns_per_unit)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios to plain, as it is shown; None without a plain process."""
        return round(median(self.ratios), 2) if self.ratios else None

    @property
    def target(self) -> float | None:
        """The promised ratio, if any."""
        cell = self.cell
        return target(cell.engine, cell.variant, cell.loop, cell.scenario)

    def excess(self) -> float:
        """Return by which part of the target the ratio is above it: 0.1 is ten per cent."""
        if self.ratio is None or self.target is None:
            return 0.0
        return max(0.0, self.ratio / self.target - 1)

    def missed(self, slack: float) -> bool:
        """Say whether the ratio is above the target by more than the part `slack` of it."""
        return self.excess() > slack

    @property
    def spread(self) -> float:
        """How far the slowest round is above the fastest: 0.1 is ten per cent."""
        return max(self.ns_per_unit) / min(self.ns_per_unit) - 1


def summarise(samples: Iterable[Sample]) -> dict[Cell, Result]:
    """Gather samples, given in the order in which they ran, into one result for each cell.

    A sample is compared with the plain one nearest before it.
    """
    times: defaultdict[Cell, list[float]] = defaultdict(list)
    ratios: defaultdict[Cell, list[float]] = defaultdict(list)
    nearest: dict[Cell, float] = {}
    for cell, ns_per_unit in samples:
        times[cell].append(ns_per_unit)
        if cell == cell.baseline:
            nearest[cell] = ns_per_unit
        elif cell.baseline in nearest:
            ratios[cell].append(ns_per_unit / nearest[cell.baseline])
    return {cell: Result(cell, times[cell], ratios[cell]) for cell in times}


def as_json(results: Iterable[Result]) -> list[dict[str, object]]:
    """Return the results as they are written by `--json`."""
    return [
        result.cell._asdict()
        | {
            "median_ns": result.median_ns,
            "ratio": result.ratio,
            "target": result.target,
            "ns_per_unit": result.ns_per_unit,
            "ratios": result.ratios,
        }
        for result in results
    ]
