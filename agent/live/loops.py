"""The event loops of the process, and the tasks that they run until."""

from typing import Any, NamedTuple

from .finding import lifetime_of

_WAITS_FOR_THE_END = frozenset({"_run_until_complete_cb", "done_cb"})
"""Done callbacks by which a loop learns that what it runs until is done; asyncio's, uvloop's."""


class LoopNow(NamedTuple):
    """An event loop."""

    type: str
    running: bool
    thread: int | None
    """Identifier of its thread, of a loop that runs and tells it."""
    until: tuple[int, ...]
    """Ids of the tasks that it runs until; none for `run_forever`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field."""
        return {**self._asdict(), "until": list(self.until)}


def loops_now(loops: list[Any], tasks: list[Any]) -> list[LoopNow]:
    """What is known of each of these loops; a closed one is left out."""
    until: dict[int, list[int]] = {}
    for task in tasks:
        lifetime = lifetime_of(task)
        if lifetime is not None and _runs_until(task):
            until.setdefault(id(task.get_loop()), []).append(lifetime.async_id)
    found = []
    for loop in loops:
        try:
            if loop.is_closed():
                continue
            running = bool(loop.is_running())
        except Exception:
            continue  # a loop of the program's that has its own ideas
        thread = getattr(loop, "_thread_id", None)
        kind = type(loop)
        found.append(
            LoopNow(
                f"{kind.__module__}.{kind.__qualname__}",
                running,
                thread if isinstance(thread, int) else None,
                tuple(until.get(id(loop), ())),
            )
        )
    return found


def _runs_until(task: Any) -> bool:
    for callback, _ in list(getattr(task, "_callbacks", None) or ()):
        if getattr(callback, "__name__", None) in _WAITS_FOR_THE_END:
            return True
    return False
