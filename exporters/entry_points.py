"""Parts of OpenTelemetry that other distributions bring, by name."""

from typing import Any

from whence.entry_points import entry_points


def load(group: str, name: str) -> Any | None:
    """What an entry point names; None if there is none.  Raises what its import raises."""
    for entry_point in entry_points(group):
        if entry_point.name == name:
            return entry_point.load()
    return None


def names(group: str) -> list[str]:
    """The names in a group."""
    return [entry_point.name for entry_point in entry_points(group)]
