"""In which order processes run, so that their ratios say something on a noisy machine.

Rules:
- Every measurement is a process of its own; rounds repeat all of them, so that a noisy minute
  spoils one round and not one variant.
- A plain process runs before every few others, as near as possible to what is compared with it.
- The order of the others turns with every round: none is always the one farthest from its plain.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .variants import PLAIN, VARIANTS

OTHERS_PER_PLAIN = 3


class Cell(NamedTuple):
    """What one figure of the tables is about."""

    python: str
    loop: str
    scenario: str
    variant: str
    engine: str | None

    @property
    def baseline(self) -> "Cell":
        """The plain process that this one is compared with."""
        return self._replace(variant=PLAIN, engine=None)


class Choice(NamedTuple):
    """What is to be measured with one Python."""

    python: str
    loops: Sequence[str]
    engines: Sequence[str]
    scenarios: Sequence[str]
    variants: Sequence[str]


def schedule(choices: Sequence[Choice], rounds: int) -> Iterator[Cell]:
    """Yield the cell that each process measures, in the order in which they run."""
    for turn in range(rounds):
        for choice in choices:
            for loop in choice.loops:
                for scenario in choice.scenarios:
                    yield from _one_scenario(choice, loop, scenario, turn)


def _one_scenario(choice: Choice, loop: str, scenario: str, turn: int) -> Iterator[Cell]:
    plain = Cell(choice.python, loop, scenario, PLAIN, None)
    others = [
        plain._replace(variant=variant, engine=engine)
        for variant in choice.variants
        if variant != PLAIN
        for engine in (choice.engines if VARIANTS[variant].has_engine else (None,))
    ]
    if not others:
        yield plain
        return
    first = turn % len(others)
    others = others[first:] + others[:first]
    for start in range(0, len(others), OTHERS_PER_PLAIN):
        yield plain
        yield from others[start : start + OTHERS_PER_PLAIN]
