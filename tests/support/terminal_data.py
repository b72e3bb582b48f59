"""Answers of a process, made by hand: for what only looks at them."""

from typing import Any

from whence.engine.histograms import Histogram


def slots(durations: dict[int, int]) -> dict[str, Any]:
    """Nanoseconds -> how many, as the socket gives a histogram."""
    histogram = Histogram()
    for nanoseconds, times in durations.items():
        for _ in range(times):
            histogram.record(nanoseconds)
    return {"counts": list(histogram.counts), "sums": list(histogram.sums)}


def pulse(
    at: float,
    *,
    busy: dict[int, float] | None = None,
    delay: dict[str, Any] | None = None,
    **types: tuple[int, int, int],
) -> dict[str, Any]:
    """The answer to `pulse`; a type is created, destroyed and leaked."""
    loops = [
        {"thread": ident, "name": "main", "state": "waiting", "seconds": 0.0, "busy": seconds}
        | {"at": None, "stack": []}
        for ident, seconds in (busy or {7: 0.0}).items()
        if busy != {}
    ]
    return {
        "process": {
            "pid": 42,
            "parent": 1,
            "service": "shop",
            "command": "app",
            "age": at,
            "whence": "0",
            "python": "3.12.1",
            "loops": loops,
            "counts": {},
        },
        "at": at,
        "types": {
            name: {"created": created, "destroyed": destroyed, "leaked": leaked}
            for name, (created, destroyed, leaked) in types.items()
        },
        "delay": delay or slots({}),
        "queue": slots({}),
        "blocked": {"number": 0, "seconds": 0.0},
        "blockers": [],
    }


def resource(async_id: int, type: str = "Task", **more: Any) -> dict[str, Any]:
    """A row of the live table."""
    return {
        "async_id": async_id,
        "type": type,
        "name": f"{type.lower()} work",
        "state": "waiting",
        "task_name": None,
        "in_state": 1.0,
        "age": 2.0,
        "run": 0.5,
        "site": {"file": "/srv/app.py", "line": 3, "function": "main"},
        "at": None,
        "due": None,
        "waits_for": None,
        "stack": [],
        "awaits": [],
        "awaited_by": [],
        "trigger_chain": [],
        "details": {},
        **more,
    }
