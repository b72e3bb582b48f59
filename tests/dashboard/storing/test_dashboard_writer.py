import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from otlp_requests import SECOND, START, Metrics, span, trace_id, traces, whence_span
from storing import Store, store_at
from whence.dashboard.storing import eviction, flow, known, metrics, writer
from whence.dashboard.storing.database import MIN_LIMIT
from whence.dashboard.storing.writer import SPANS, Busy, Change


def count(store: Store, table: str) -> int:
    found: int = store.database.read(
        lambda connection: connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    )[0]
    return found


def test_what_is_acknowledged_is_in_the_file(store: Store) -> None:
    store.add(traces(span(1, 1)))
    other = sqlite3.connect(f"file:{store.database.path}?mode=ro", uri=True)
    assert other.execute("SELECT count(*) FROM traces").fetchone() == (1,)
    other.close()


def test_what_was_added_is_told(store: Store) -> None:
    store.add(traces(span(1, 1), span(1, 2), span(2, 3)))
    store.add(traces(span(1, 4)))
    store.add(Metrics().gauge("a", 1, 1).request)
    shop = frozenset({"shop"})
    assert store.changes == [Change(3, 0, 2, shop), Change(1, 0, 0, shop), Change(0, 1, 0, shop)]
    assert (store.writer.spans, store.writer.points) == (4, 1)


@pytest.mark.parametrize("wrong", ["trace_id", "span_id"])
@pytest.mark.parametrize("value", [b"", b"short", bytes(16)[:8], bytes(16)])
def test_spans_without_ids_are_left_out_and_counted(store: Store, wrong: str, value: bytes) -> None:
    bad = span(1, 1)
    setattr(bad, wrong, value)
    assert store.add(traces(bad, span(2, 2))) == 1
    assert count(store, "traces") == 1
    assert store.writer.rejected == 1


def test_times_that_make_no_sense_are_limited(store: Store) -> None:
    odd = span(1, 1)
    odd.start_time_unix_nano, odd.end_time_unix_nano = 2**64 - 1, 5
    store.add(traces(odd))
    (found,) = store.get("/api/traces")["traces"]
    assert found["duration"] == 0


def test_the_file_stays_within_its_limit_and_the_oldest_goes(tmp_path: Path) -> None:
    with store_at(tmp_path / "store.db", MIN_LIMIT) as store:
        number = 0
        sent = 0
        while store.writer.evicted == 0 or sent < 40:
            batch = []
            for _ in range(500):
                number += 1
                noise = trace_id(number * 7919 % 2**61).hex() * 20
                batch.append(whence_span(number, number, name=f"task {number % 50}", noise=noise))
            store.now += SECOND
            store.add(traces(*batch))
            sent += 1
            assert store.database.size() <= store.database.limit
            assert sent < 400, "nothing went"
        kept = store.get("/api/traces", limit=500)["traces"]
        assert kept[0]["trace_id"] == trace_id(number).hex()
        assert count(store, "traces") + store.writer.evicted == number
        oldest = store.database.read(
            lambda connection: connection.execute("SELECT min(id) FROM traces").fetchone()
        )[0]
        for table in ("trace_names", "trace_services", "pieces / 1048576 AS trace, pieces"):
            columns, _, name = table.rpartition(", ")
            column = f"id / {1 << 20}" if columns else "trace"
            (least,) = store.database.read(
                lambda connection, c=column, n=name: connection.execute(  # type: ignore[misc]
                    f"SELECT min({c}) FROM {n}"
                ).fetchone()
            )
            assert least == oldest, table


def test_points_have_a_share_and_the_oldest_go(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eviction, "max_points", lambda limit: 100)
    for at in range(150):
        store.add(Metrics().gauge("a", at, at).request)
    left = store.database.read(
        lambda connection: connection.execute("SELECT min(at), max(at), count(*) FROM points")
    ).fetchone()
    assert left[1] == START + 149 * SECOND
    assert 50 < left[2] <= 100
    assert left[0] > START


def test_a_process_goes_with_the_last_of_its_traces(store: Store) -> None:
    old = {"service.name": "old"}
    store.add(traces(span(1, 1), resource=old))
    store.now += SECOND
    store.add(traces(span(2, 2)))
    connection = store.database.writer()
    (number,) = connection.execute(
        "SELECT id FROM traces WHERE trace_id = ?", (trace_id(2),)
    ).fetchone()
    eviction.evict_before(connection, number)
    eviction.evict_processes(connection)
    connection.close()
    assert [one["service"] for one in store.get("/api/processes")["processes"]] == ["shop"]
    assert [one["name"] for one in store.get("/api/services")["services"]] == ["shop"]


def test_who_comes_while_too_much_waits_is_told_to_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    # Not started yet: all that is handed in waits.
    first = store.writer.hand_in(SPANS, traces(span(1, 1)), writer.MAX_WAITING + 1)
    with pytest.raises(Busy):
        store.writer.hand_in(SPANS, traces(span(2, 2)), 1)
    store.writer.start()
    assert first.result(30) == 0
    assert store.add(traces(span(3, 3))) == 0
    store.writer.stop()
    with pytest.raises(Busy):
        store.writer.hand_in(SPANS, traces(span(4, 4)), 1)
    store.database.close()


def test_a_file_that_somebody_has_locked_keeps_nothing_back_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.writer._tables.connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(store.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(writer.CannotWrite, match="locked"):
        store.add(traces(span(1, 1)))
    assert "locked" in str(store.database.trouble)
    assert store.writer.spans == 0
    other.execute("ROLLBACK")
    other.close()
    store.add(traces(span(1, 1)))
    assert store.database.trouble is None
    assert count(store, "traces") == 1
    assert [node["number"] for node in store.get("/api/flow")["nodes"]] == [1]


def test_a_file_that_is_damaged_meanwhile_is_replaced_and_what_comes_is_kept(
    store: Store,
) -> None:
    store.add(traces(*(whence_span(number, number) for number in range(1, 400))))
    path = store.database.path
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    store.writer._tables.connection.execute("PRAGMA shrink_memory")
    store.add(traces(span(1_000, 1, name="after")))
    assert [one["name"] for one in store.get("/api/traces")["traces"]] == ["after"]
    assert "is damaged" in str(store.database.problem)
    assert path.with_name("store.db.damaged").exists()


def test_a_full_disk_lets_the_oldest_go(store: Store) -> None:
    noise = [whence_span(n, n, noise=str(n**40)) for n in range(1, 3_000)]
    store.add(traces(*noise))
    connection = store.writer._tables.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    store.add(traces(*(whence_span(n, n, noise=str(n**40)) for n in range(3_000, 3_600))))
    assert store.writer.evicted > 0
    assert store.get("/api/traces", limit=1)["traces"][0]["trace_id"] == trace_id(3_599).hex()


def test_points_that_nothing_can_be_drawn_of_are_left_out(store: Store) -> None:
    made = Metrics().gauge("a", float("nan"), 1).gauge("b", float("inf"), 1)
    made.histogram("c", [float("inf")], [1, 2], 1).histogram("d", [1.0] * 2_000, [1] * 2_001, 1)
    wide = made.request.resource_metrics[0].scope_metrics[0].metrics.add(name="e")
    wide.exponential_histogram.data_points.add(count=1, scale=-20, time_unix_nano=START)
    assert store.add(made.gauge("f", 1.0, 1).request) == 5
    assert count(store, "points") == 1


def test_an_exponential_histogram_becomes_one_with_bounds(store: Store) -> None:
    request = Metrics().gauge("other", 1, 1).request
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="e", unit="s")
    for at, number in ((1, 1), (2, 101)):
        point = metric.exponential_histogram.data_points.add(
            count=number, sum=number * 3.0, scale=0, time_unix_nano=START + at * SECOND
        )
        point.positive.offset = 1
        point.positive.bucket_counts.append(number)
    metric.exponential_histogram.aggregation_temporality = 2
    assert store.add(request) == 0
    asked = {"process": 1, "from_": START / 1e9, "to": START / 1e9 + 9}
    drawn = store.get("/api/metrics/{name}", "e", **asked)["chart"]["series"]
    lines = {one["labels"]["statistic"]: one["values"] for one in drawn}
    assert lines["mean"] == [3.0]
    assert lines["p50"] == [3.0]  # half-way from 2 to 4


def test_what_cannot_be_written_takes_nobody_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = store.writer._tables.spans.take

    def taking(request: Any, now: int) -> tuple[int, int]:
        if request.resource_spans[0].scope_spans[0].spans[0].name == "poison":
            raise ZeroDivisionError
        return take(request, now)

    monkeypatch.setattr(store.writer._tables.spans, "take", taking)
    store.writer._condition.acquire()
    try:  # so that all are written at once
        good = store.writer.hand_in(SPANS, traces(span(1, 1)), 1)
        bad = store.writer.hand_in(SPANS, traces(span(2, 2, name="poison")), 1)
        again = store.writer.hand_in(SPANS, traces(span(3, 3)), 1)
    finally:
        store.writer._condition.release()
    assert (good.result(30), again.result(30)) == (0, 0)
    assert not bad.cancel()
    with pytest.raises(writer.Unreadable, match="ZeroDivisionError"):
        bad.result(30)
    assert count(store, "traces") == 2
    assert [node["number"] for node in store.get("/api/flow")["nodes"]] == [2]


def test_names_series_and_graph_are_bounded_however_many_are_made_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "MAX_NODES", 10)
    monkeypatch.setattr(flow, "MAX_EDGES", 5)
    monkeypatch.setattr(flow, "REMEMBERED", 8)
    monkeypatch.setattr(store.writer._tables.known, "_names_left", 10)
    monkeypatch.setattr(store.writer._tables.metrics, "_left", 10)
    monkeypatch.setattr(known, "MAX_REMEMBERED", 4)
    monkeypatch.setattr(metrics, "MAX_REMEMBERED", 4)
    for number in range(1, 40):
        made_up = f"made up {number}"
        store.add(traces(span(1, number, number - 1, name=made_up)))
        store.add(Metrics().gauge(made_up, 1, number).request)
    assert count(store, "names") == 10
    assert count(store, "series") == 10
    assert count(store, "flow_nodes") == 10
    assert count(store, "flow_edges") == 5
    assert store.writer.rejected == 29
    recent = store.writer._tables.flow._recent
    assert len(recent._new) + len(recent._old) <= 8


def test_the_graph_goes_on_after_a_restart(tmp_path: Path) -> None:
    for trace in (1, 2):
        with store_at(tmp_path / "store.db") as store:
            parent = whence_span(trace, trace, name="a")
            store.add(traces(whence_span(trace, 10 + trace, trace, name="b"), parent))
            found = store.get("/api/flow")
    assert sorted(node["number"] for node in found["nodes"]) == [2, 2]
    assert [edge["number"] for edge in found["edges"]] == [2]


def test_a_long_description_of_a_process_is_shortened(store: Store) -> None:
    long: dict[str, Any] = {f"key{number}": "x" * 300 for number in range(100)}
    store.add(traces(span(1, 1), resource={"service.name": "a", "short": "y", **long}))
    (process,) = store.get("/api/processes")["processes"]
    assert process["attributes"] == {"service.name": "a", "short": "y"}
    assert len(json.dumps(process["attributes"])) < known.MAX_ATTRIBUTES
