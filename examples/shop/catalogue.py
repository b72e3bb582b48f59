"""What the shop sells: a SQLite file.

Every method blocks, so handlers call them in a thread; each opens the file for itself, which makes
them independent of the thread that they run in.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

VOUCHER = "Gift voucher"

_SHELF = (
    (VOUCHER, 2000),
    ("Assam, broken leaf", 650),
    ("Darjeeling, first flush", 1240),
    ("Earl Grey", 720),
    ("Genmaicha", 890),
    ("Lapsang Souchong", 1080),
    ("Oolong, Alishan", 1690),
    ("Rooibos", 480),
)


class Item(NamedTuple):
    """Something to buy; `price` is in cents."""

    id: int
    name: str
    price: int


class Catalogue:
    """The items in the file at `path`, which is created."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name, price, sold)")
            database.executemany("INSERT INTO items (name, price, sold) VALUES (?, ?, 0)", _SHELF)

    def item(self, id: int) -> Item | None:
        """The item of that number, if there is one."""
        with self._open() as database:
            row = database.execute("SELECT id, name, price FROM items WHERE id = ?", (id,))
            found = row.fetchone()
        return None if found is None else Item(*found)

    def search(self, words: str) -> list[Item]:
        """The items with these words in their name."""
        with self._open() as database:
            query = "SELECT id, name, price FROM items WHERE name LIKE ? ORDER BY name"
            return [Item(*row) for row in database.execute(query, (f"%{words}%",))]

    def sell(self, id: int) -> None:
        """Take one off the shelf."""
        with self._open() as database:
            database.execute("UPDATE items SET sold = sold + 1 WHERE id = ?", (id,))

    def sales(self) -> list[tuple[str, int]]:
        """How many of each item were sold."""
        with self._open() as database:
            query = "SELECT name, sold FROM items ORDER BY sold DESC, name"
            return list(database.execute(query))

    def reprice(self, percent: int) -> None:
        """Raise or lower all prices but the vouchers'."""
        with self._open() as database:
            query = "UPDATE items SET price = price * (100 + ?) / 100 WHERE name != ?"
            database.execute(query, (percent, VOUCHER))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path)
        try:
            # The file does not outlive the shop: no need to wait for the disk.
            database.execute("PRAGMA synchronous = OFF")
            with database:
                yield database
        finally:
            database.close()
