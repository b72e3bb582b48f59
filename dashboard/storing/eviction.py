"""The oldest goes when there is no room for the new.

Traces and what was found in them go by the order of their arrival, points of metrics by their time.
Metrics have a share of their own, so that many spans do not push out the hours of the charts.
"""

import sqlite3

from . import schema
from .database import PAGE_SIZE, wal_limit

_STEP = 0.03
"""Part of the traces that goes at once."""
_ROOM = 0.97
"""Part of the limit down to which they go."""
_BYTES_OF_POINT = 100
_SHARE_OF_METRICS = 0.25
MAX_BLOCKS = 20_000
_ORDERED_BY_WHAT_IS_SOUGHT = (
    ("trace_services", "service", "services"),
    ("trace_names", "name", "names"),
)
"""The oldest of such a table is a range for each thing that is sought."""


def max_points(limit: int) -> int:
    """Points that a file of so many bytes may hold."""
    return int(limit * _SHARE_OF_METRICS / _BYTES_OF_POINT)


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages - free) * PAGE_SIZE


def room(limit: int) -> int:
    """Bytes that may hold something in a file of `limit` bytes: deletion itself needs some."""
    return int((limit - wal_limit(limit)) * _ROOM)


def evict(connection: sqlite3.Connection, limit: int) -> int:
    """Delete the oldest traces until the file has room; the number of those that went.

    Inside of a transaction.
    """
    gone = 0
    while used(connection) > room(limit):
        first, last = connection.execute("SELECT min(id), max(id) FROM traces").fetchone()
        if first is None:
            break
        end = first + max(1, int((last - first + 1) * _STEP))
        gone += evict_before(connection, end)
    return gone


def evict_before(connection: sqlite3.Connection, end: int) -> int:
    """Delete the traces whose numbers are smaller, with all that is of them."""
    run = connection.execute
    number = run("DELETE FROM traces WHERE id < ?", (end,)).rowcount
    run("DELETE FROM pieces WHERE id < ?", (end * schema.PIECES,))
    for table, column, source in _ORDERED_BY_WHAT_IS_SOUGHT:
        connection.executemany(
            f"DELETE FROM {table} WHERE {column} = ? AND trace < ?",
            [(sought, end) for (sought,) in run(f"SELECT id FROM {source}")],
        )
    run("DELETE FROM links WHERE trace < ?", (end,))
    run("DELETE FROM blocks WHERE trace < ?", (end,))
    run(
        "DELETE FROM blocks WHERE id <= (SELECT max(id) FROM blocks) - ?",
        (MAX_BLOCKS,),
    )
    return number


def evict_points(connection: sqlite3.Connection, keep: int) -> int:
    """Delete the oldest points until so many are left, and the series that have none any more; the
    number of points that went."""
    before = number = _count(connection)
    while number > keep:
        first, last = connection.execute("SELECT min(at), max(at) FROM points").fetchone()
        cut = first + max(1, (last - first) // 10)
        connection.execute("DELETE FROM points WHERE at < ?", (cut,))
        number = _count(connection)
    connection.execute("DELETE FROM series WHERE id NOT IN (SELECT DISTINCT series FROM points)")
    return before - number


def evict_processes(connection: sqlite3.Connection) -> None:
    """Delete processes of which nothing is left: no points, and no trace as young as they are."""
    connection.execute(
        "DELETE FROM processes WHERE id NOT IN (SELECT process FROM series) "
        "AND last < coalesce((SELECT arrived FROM traces ORDER BY id LIMIT 1), 0)"
    )


def _count(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM points").fetchone()
    return int(number)
