"""What is wanted of a span's attributes, picked by name while the span passes."""

from collections.abc import Callable
from typing import Any

_MAX_TEXT = 500
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Picked:
    """What views sum up of one span; times are nanoseconds, durations seconds."""

    __slots__ = (
        "async_id",
        "blocked",
        "delayed",
        "duration",
        "failed",
        "file",
        "function",
        "is_of_whence",
        "line",
        "name",
        "outcome",
        "ready",
        "run",
        "service",
        "start",
        "type",
        "wait",
    )

    def __init__(
        self, service: int, name: str, kind: int, start: int, end: int, failed: bool
    ) -> None:
        self.service = service
        self.name = name
        self.type = _KINDS.get(kind, "span")
        """Of the resource; of another program's span its kind."""
        self.start = start
        self.duration = (end - start) / 1e9
        self.failed = failed
        self.is_of_whence = False
        self.async_id: int | None = None
        self.file = ""
        self.line = 0
        self.function = ""
        self.outcome = ""
        self.blocked = self.delayed = 0.0
        self.run = self.ready = self.wait = 0.0

    @property
    def key(self) -> tuple[int, str, str, str, int, str]:
        """What is summed up as one: service, type, name, and where it was created."""
        return (self.service, self.type, self.name, self.file, self.line, self.function)


def _type(picked: Picked, value: Any) -> None:
    picked.type = value.string_value[:_MAX_TEXT]
    picked.is_of_whence = True


def _text(name: str) -> Callable[[Picked, Any], None]:
    def pick(picked: Picked, value: Any) -> None:
        setattr(picked, name, value.string_value[:_MAX_TEXT])

    return pick


def _async_id(picked: Picked, value: Any) -> None:
    picked.async_id = value.int_value


def _line(picked: Picked, value: Any) -> None:
    picked.line = value.int_value


def _seconds(name: str) -> Callable[[Picked, Any], None]:
    def pick(picked: Picked, value: Any) -> None:
        seconds = value.double_value
        if 0 <= seconds < 1e12:
            setattr(picked, name, seconds)

    return pick


PICKED: dict[str, Callable[[Picked, Any], None]] = {
    "whence.type": _type,
    "whence.async_id": _async_id,
    "whence.outcome": _text("outcome"),
    "whence.run_time": _seconds("run"),
    "whence.ready_time": _seconds("ready"),
    "whence.wait_time": _seconds("wait"),
    "whence.blocked.total_time": _seconds("blocked"),
    "whence.delayed.time": _seconds("delayed"),
    "code.file.path": _text("file"),
    "code.line.number": _line,
    "code.function.name": _text("function"),
}
"""Name of an attribute -> what notes its value."""
