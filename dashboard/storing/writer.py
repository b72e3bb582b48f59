"""The one thread that writes.

Who has a request hands it in and waits; all that was handed in meanwhile is written in one
transaction, and only then is anybody told that it is kept.  So what was acknowledged is there after
a crash, and what cannot be written goes back to its sender, who sends it again.

What waits is bounded in bytes: beyond that a sender is told to come back later.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

from . import eviction
from .database import Database
from .flow import Flow
from .known import Known
from .metrics import MetricsIntake
from .spans import SpanIntake

MAX_WAITING = 16 << 20
"""Bytes of requests as they were sent; in memory they are five times that."""
MAX_TRANSACTION = 4 << 20
"""Bytes of requests that are written at once."""
_CLOSED = "closed database"
_DAMAGED = ("malformed", "not a database", "disk image")

SPANS = "spans"
POINTS = "points"


class Busy(Exception):
    """There is no room for it now; the sender may come back."""


class CannotWrite(Exception):
    """It could not be written; the sender may come back.  The text says why."""


class Unreadable(Exception):
    """A request of a shape that cannot be written, however often it is sent."""


class Job(NamedTuple):
    """A request that was handed in."""

    kind: str
    message: Any
    size: int
    done: "Future[int]"


class Change(NamedTuple):
    """What a transaction has added."""

    spans: int
    points: int
    traces: int
    services: frozenset[str]


class Tables:
    """All that writes to one connection."""

    def __init__(self, database: Database) -> None:
        self.connection = database.writer()
        self.known = Known(self.connection)
        self.flow = Flow(self.connection)
        self.spans = SpanIntake(self.connection, self.known, self.flow)
        self.metrics = MetricsIntake(self.connection, self.known)

    def forget(self) -> None:
        """What was written since the last commit was taken back."""
        self.spans.clear()
        self.metrics.forget()
        self.known.forget()
        self.flow.load()


class Writer:
    """The thread, from `start` to `stop`; `changed` is called in it after each transaction."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[Change], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spans = self.points = self.rejected = self.evicted = 0
        """Counted since the start."""
        self._database = database
        self._changed = changed
        self._clock = clock
        self._jobs: list[Job] = []
        self._waiting = 0
        self._condition = threading.Condition()
        self._stopping = False
        self._tables = Tables(database)
        self._thread = threading.Thread(target=self._run, name="whence-dashboard-writer")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was handed in, and end."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join()
        self._tables.connection.close()

    def hand_in(self, kind: str, message: Any, size: int) -> "Future[int]":
        """Have a request of `size` bytes written.  The future has the number of spans or points
        that were left out, once the others are on disk; or CannotWrite, Unreadable.  Raises Busy.

        For any thread.
        """
        job = Job(kind, message, size, Future())
        # A sender that goes away does not take it back.
        job.done.set_running_or_notify_cancel()
        with self._condition:
            if self._stopping:
                raise Busy("the dashboard is ending")
            if self._waiting and self._waiting + size > MAX_WAITING:
                raise Busy("more comes than can be written")
            self._waiting += size
            self._jobs.append(job)
            self._condition.notify()
        return job.done

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._jobs and not self._stopping:
                    self._condition.wait()
                if not self._jobs:
                    return
                jobs = self._some_jobs()
            self._write(jobs)
            with self._condition:
                self._waiting -= sum(job.size for job in jobs)

    def _some_jobs(self) -> list[Job]:
        size = taken = 0
        for job in self._jobs:
            if taken and size + job.size > MAX_TRANSACTION:
                break
            size += job.size
            taken += 1
        jobs, self._jobs = self._jobs[:taken], self._jobs[taken:]
        return jobs

    def _write(self, jobs: list[Job]) -> None:
        try:
            rejected, change = self._transaction(jobs)
        except sqlite3.Error as error:
            self._take_back()
            if not self._mended(error):
                self._fail(jobs, error)
                return
            try:
                rejected, change = self._transaction(jobs)
            except sqlite3.Error as again:
                self._take_back()
                self._fail(jobs, again)
                return
        except Exception as error:
            # It shall neither end the thread nor take others with it.
            self._take_back()
            self._one_by_one(jobs, error)
            return
        self._database.trouble = None
        self.spans += change.spans
        self.points += change.points
        self.rejected += sum(rejected)
        for job, number in zip(jobs, rejected, strict=True):
            job.done.set_result(number)
        with suppress(Exception):
            self._changed(change)

    def _one_by_one(self, jobs: list[Job], error: Exception) -> None:
        if len(jobs) == 1:
            jobs[0].done.set_exception(Unreadable(f"it cannot be kept: {error!r:.200}"))
            return
        for job in jobs:
            self._write([job])

    def _transaction(self, jobs: list[Job]) -> tuple[list[int], Change]:
        tables, now = self._tables, self._clock()
        run = tables.connection.execute
        run("BEGIN IMMEDIATE")
        spans = points = 0
        rejected: list[int] = []
        for job in jobs:
            if job.kind == SPANS:
                taken, left_out = tables.spans.take(job.message, now)
                spans += taken
            else:
                taken, left_out = tables.metrics.take(job.message, now)
                points += taken
            rejected.append(left_out)
        traces = tables.spans.write(now)
        tables.metrics.write()
        tables.flow.write()
        services = tables.known.note_seen()
        self._make_room()
        run("COMMIT")
        return rejected, Change(spans, points, traces, services)

    def _make_room(self) -> None:
        tables, limit = self._tables, self._database.limit
        gone = eviction.evict(tables.connection, limit)
        keep = eviction.max_points(limit)
        if tables.metrics.number > keep:
            # A little more than needed, so that it is not needed again at once.
            gone += eviction.evict_points(tables.connection, keep * 9 // 10)
            tables.metrics.forget()
        if gone:
            eviction.evict_processes(tables.connection)
            tables.known.forget()
            self.evicted += gone

    def _take_back(self) -> None:
        connection = self._tables.connection
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with suppress(sqlite3.Error):
            self._tables.forget()

    def _mended(self, error: sqlite3.Error) -> bool:
        """Whether it is worth to try again."""
        text = str(error)
        if "full" in text:
            return self._emptied()
        try:
            if any(word in text for word in _DAMAGED):
                self._tables.connection.close()
                self._database.replace(f"it is damaged ({text})")
                self._tables = Tables(self._database)
                return True
            if _CLOSED in text:  # the line above came no further
                self._tables = Tables(self._database)
                return True
        except (OSError, sqlite3.Error):
            return False
        return False

    def _emptied(self) -> bool:
        """The file, or the disk, is full: let a good part of the oldest go."""
        connection = self._tables.connection
        try:
            first, last = connection.execute("SELECT min(id), max(id) FROM traces").fetchone()
            if first is None:
                return False
            connection.execute("BEGIN IMMEDIATE")
            self.evicted += eviction.evict_before(connection, first + (last - first) // 4 + 1)
            connection.execute("COMMIT")
        except sqlite3.Error:
            self._take_back()
            return False
        self._tables.known.forget()
        return True

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        text = f"{self._database.path}: {error}"
        self._database.trouble = f"{text}; what comes is sent back until that is over"
        for job in jobs:
            job.done.set_exception(CannotWrite(text))
