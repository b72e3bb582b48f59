"""The file: opened, owned by one dashboard at a time, replaced where it cannot be used.

A file that is damaged, or of another version, is put aside under another name; where it cannot be
written or another dashboard has it, a fresh one in a temporary folder is used for as long as this
process lives.  Either way `problem` says so in one line, and nothing of what comes is lost.
"""

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from . import schema

Result = TypeVar("Result")

PAGE_SIZE = 4096
MIN_LIMIT = 16 << 20
"""Bytes.  Less would hold no more than what comes at once."""
_MAX_WAL = 16 << 20
_BUSY = 5.0
"""Seconds that a writer waits for who has locked the file."""
_FILES = ("", "-wal", "-shm")
_CACHE = 8 << 10
"""KiB of each connection's page cache."""


class Unusable(Exception):
    """The file cannot be used; the text says why."""


def wal_limit(limit: int) -> int:
    """Bytes of a file's limit that are the write-ahead log's."""
    return min(_MAX_WAL, limit // 4)


class Database:
    """The file at a path, of `limit` bytes at most."""

    def __init__(self, path: Path, limit: int) -> None:
        self.limit = max(limit, MIN_LIMIT)
        self.problem: str | None = None
        """One line about what is not as it was asked for, for as long as this process lives."""
        self.trouble: str | None = None
        """One line about what keeps anything from being written at present."""
        self.generation = 0
        """Grows when the file is replaced: connections to the one before are of no use."""
        self._temporary: str | None = None
        self._owner: sqlite3.Connection | None = None
        self._readers = threading.local()
        self._all_readers: list[sqlite3.Connection] = []
        self.path = self._usable(path)

    def writer(self) -> sqlite3.Connection:
        """A connection that writes; transactions are the caller's."""
        connection = _connect(self.path)
        pages = (self.limit - wal_limit(self.limit)) // PAGE_SIZE
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute(f"PRAGMA journal_size_limit = {wal_limit(self.limit)}")
        return connection

    def read(self, ask: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `ask` finds, on a connection of this thread's own that cannot write."""
        return ask(self._reader())

    def size(self) -> int:
        """Bytes on disk, the write-ahead log among them."""
        total = 0
        for suffix in _FILES:
            with suppress(OSError):
                total += os.stat(f"{self.path}{suffix}").st_size
        return total

    def replace(self, why: str) -> None:
        """Go on with a fresh file: this one turned out to be damaged.  The writer's connection has
        to be closed, and made anew."""
        aside = _put_aside(self.path)
        self.problem = f"{self.path}: {why}; it is now {aside.name}, and a fresh one was begun"
        _create(self.path)
        self.generation += 1

    def close(self) -> None:
        """Give the file back, when nobody reads any more; a temporary one goes."""
        for connection in self._all_readers:
            connection.close()
        if self._owner is not None:
            self._owner.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _reader(self) -> sqlite3.Connection:
        known = getattr(self._readers, "known", None)
        if known is not None and known[0] == self.generation:
            return known[1]  # type: ignore[no-any-return]
        if known is not None:
            known[1].close()
        connection = _connect(self.path)
        connection.execute("PRAGMA query_only = 1")
        self._readers.known = (self.generation, connection)
        self._all_readers.append(connection)
        return connection

    def _usable(self, path: Path) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._owner = _own(path)
            return self._checked(path)
        except (Unusable, OSError, sqlite3.Error) as error:
            if self._owner is not None:
                self._owner.close()
                self._owner = None
            self._temporary = tempfile.mkdtemp(prefix="whence-dashboard-")
            fresh = Path(self._temporary, path.name)
            self.problem = f"{path}: {_reason(error)}; {fresh} is used until the dashboard ends"
            _create(fresh)
            return fresh

    def _checked(self, path: Path) -> Path:
        """The same path, with a file behind it that is whole and of our tables."""
        if path.exists() and path.stat().st_size:
            if not os.access(path, os.W_OK):
                raise Unusable("it cannot be written (permission denied)")
            try:
                why = _what_is_wrong(path)
            except sqlite3.OperationalError as error:
                raise Unusable(str(error)) from error
            except sqlite3.DatabaseError as error:
                why = str(error)
            if why is None:
                return path
            aside = _put_aside(path)
            self.problem = f"{path}: {why}; it is now {aside.name}, and a fresh one was begun"
        _create(path)
        return path


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _own(path: Path) -> sqlite3.Connection:
    """Hold a lock beside the file for as long as the connection is open: SQLite's own locks work on
    every system, and end with the process."""
    lock = f"{path}.lock"
    owner = sqlite3.connect(lock, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        os.chmod(lock, 0o600)
        owner.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        owner.close()
        if "locked" in str(error):
            raise Unusable("another dashboard uses it") from error
        raise
    except sqlite3.DatabaseError:
        owner.close()
        raise
    return owner


def _what_is_wrong(path: Path) -> str | None:
    """None where the file is as it should be."""
    connection = _connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != schema.VERSION:
            return f"expected a dashboard's database of version {schema.VERSION}, not {version}"
        # All pages, but not what is in them: a moment for each hundred megabytes.
        (word,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return None if word == "ok" else f"it is damaged ({word.splitlines()[-1]})"
    finally:
        connection.close()


def _create(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        os.chmod(path, 0o600)
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema.TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def _put_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in _FILES:
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
