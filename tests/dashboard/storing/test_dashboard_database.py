"""A file that cannot be used: a clear line, a fresh one, nothing else lost."""

import os
import sqlite3
from pathlib import Path

import pytest

from otlp_requests import span, traces
from storing import store_at
from whence.dashboard.storing import schema
from whence.dashboard.storing.database import Database

LIMIT = 64 << 20


def keeps(path: Path) -> str | None:
    """Open a database there and keep something; what it says of its problem."""
    with store_at(path) as store:
        store.add(traces(span(1, 1)))
        assert len(store.get("/api/traces")["traces"]) == 1
        return store.database.problem


def test_a_file_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "dashboard.db"
    assert keeps(path) is None
    with store_at(path) as store:
        assert len(store.get("/api/traces")["traces"]) == 1
    assert keeps(path) is None


@pytest.mark.skipif(os.name == "nt", reason="modes of files are POSIX's")
def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    with store_at(tmp_path / "dashboard.db") as store:
        store.add(traces(span(1, 1)))
        modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("*.db*")}
    assert set(modes.values()) == {0}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"this is no database" * 400, "file is not a database"),
        (b"SQLite format 3\0" + b"\xff" * 8_000, "is"),
    ],
)
def test_what_is_no_database_is_put_aside(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "dashboard.db"
    path.write_bytes(content)
    problem = str(keeps(path))
    assert problem.startswith(f"{path}: ")
    assert told in problem
    assert problem.endswith("it is now dashboard.db.damaged, and a fresh one was begun")
    assert (tmp_path / "dashboard.db.damaged").read_bytes() == content


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.db"
    keeps(path)
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xab" * 4096)
    assert "it is damaged" in str(keeps(path))


def test_a_database_of_another_version_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (a)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    expected = f"expected a dashboard's database of version {schema.VERSION}, not 99"
    assert expected in str(keeps(path))
    kept = sqlite3.connect(tmp_path / "dashboard.db.damaged")
    assert kept.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]
    kept.close()


def test_a_second_dashboard_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.db"
    with store_at(path) as first:
        first.add(traces(span(1, 1)))
        with store_at(path) as second:
            own = second.database.path
            assert f"{path}: another dashboard uses it" in str(second.database.problem)
            assert second.get("/api/traces")["traces"] == []
        assert not own.exists()
        assert len(first.get("/api/traces")["traces"]) == 1
    assert keeps(path) is None


def test_a_file_that_another_program_has_locked_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dashboard.db"
    keeps(path)
    monkeypatch.setattr("whence.dashboard.storing.database._BUSY", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    problem = str(keeps(path))
    other.execute("ROLLBACK")
    other.close()
    assert "database is locked" in problem
    assert "is used until the dashboard ends" in problem


def test_a_path_that_cannot_be_is_replaced_by_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = str(keeps(tmp_path / "file" / "dashboard.db"))
    assert "file" in problem
    assert "is used until the dashboard ends" in problem


def test_a_file_that_cannot_be_written_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dashboard.db"
    keeps(path)
    before = path.read_bytes()
    path.chmod(0o400)
    if os.access(path, os.W_OK):  # as root, to whom no mode says no
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda p, mode: p != path and allowed(p, mode))
    assert f"{path}: it cannot be written" in str(keeps(path))
    assert path.read_bytes() == before


def test_a_limit_is_at_least_what_one_moment_needs(tmp_path: Path) -> None:
    database = Database(tmp_path / "dashboard.db", 1)
    assert database.limit == 16 << 20
    database.close()
