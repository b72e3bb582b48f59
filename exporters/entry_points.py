"""Parts of OpenTelemetry that other distributions bring, by name."""

from importlib.metadata import entry_points
from typing import Any


def load(group: str, name: str) -> Any | None:
    """What an entry point names; None if there is none.  Raises what its import raises."""
    for entry_point in entry_points(group=group, name=name):
        return entry_point.load()
    return None


def names(group: str) -> list[str]:
    """The names in a group."""
    return [entry_point.name for entry_point in entry_points(group=group)]
