"""A database of the dashboard, written to and asked in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otlp_requests import START
from whence.dashboard.api import VIEWS
from whence.dashboard.storing.database import Database
from whence.dashboard.storing.writer import POINTS, SPANS, Change, Writer
from whence.dashboard.views.asked import Asked


class Store:
    """The file, its writer on a clock that stands still, and the views of it."""

    def __init__(self, path: Path, limit: int = 64 << 20) -> None:
        self.now = START
        self.changes: list[Change] = []
        self.database = Database(path, limit)
        self.writer = Writer(self.database, self.changes.append, lambda: self.now)

    def add(self, request: Any) -> int:
        """Have a request written; the number of what was left out."""
        kind = SPANS if hasattr(request, "resource_spans") else POINTS
        return self.writer.hand_in(kind, request, request.ByteSize()).result(30)

    def get(self, path: str, *words: str, **asked: object) -> dict[str, Any]:
        """The JSON of a view; `from_` is `from`."""
        query = {name.rstrip("_"): str(value) for name, value in asked.items()}
        view = VIEWS[path]
        return self.database.read(lambda connection: view(connection, Asked(query), *words))


@contextmanager
def store_at(path: Path, limit: int = 64 << 20) -> Iterator[Store]:
    store = Store(path, limit)
    store.writer.start()
    try:
        yield store
    finally:
        store.writer.stop()
        store.database.close()
