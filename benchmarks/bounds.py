"""What the ratios of `benchmarks.instructions` must not exceed: `bounds.json`, read and written.

Python, engine, variant, scenario -> ratio to the plain program.
"""

import json
from pathlib import Path

FILE = Path(__file__).with_name("bounds.json")

Bounds = dict[str, dict[str, dict[str, dict[str, float]]]]


def read(file: Path = FILE) -> Bounds:
    """All bounds that there are."""
    bounds: Bounds = json.loads(file.read_text())
    return bounds


def find(bounds: Bounds, python: str, engine: str, variant: str, scenario: str) -> float | None:
    """One of them, if there is one."""
    return bounds.get(python, {}).get(engine, {}).get(variant, {}).get(scenario)


def put(
    bounds: Bounds, python: str, engine: str, variant: str, scenario: str, ratio: float
) -> None:
    """Set one of them."""
    of_engine = bounds.setdefault(python, {}).setdefault(engine, {})
    of_engine.setdefault(variant, {})[scenario] = ratio


def write(bounds: Bounds, file: Path = FILE) -> None:
    """Keep them, in an order of their own."""
    file.write_text(json.dumps(bounds, indent=2, sort_keys=True) + "\n")
