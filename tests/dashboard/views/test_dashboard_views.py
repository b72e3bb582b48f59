"""The views, over a real file: what they say of what was sent."""

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp_requests import SHOP, START, Metrics, span, span_id, trace_id, traces, whence_span
from storing import Store
from whence.dashboard.views.asked import NotThere, Wrong

T0 = START / 1e9
TRACE = "/api/traces/{trace_id}"


def names(found: dict[str, Any]) -> list[str]:
    return [one["name"] for one in found["traces"]]


def test_a_trace_is_found_with_all_that_was_sent_of_it_in_any_order(store: Store) -> None:
    store.add(traces(whence_span(1, 12, 11, name="task child", start=0.5, failed=True)))
    store.add(traces(whence_span(1, 11, name="GET /", duration=2, kind=Span.SPAN_KIND_SERVER)))
    (found,) = store.get("/api/traces")["traces"]
    assert found == {
        "trace_id": trace_id(1).hex(),
        "name": "GET /",
        "service": "shop",
        "services": ["shop"],
        "start": T0,
        "duration": 2.0,
        "spans": 2,
        "errors": 1,
        "failed": False,
        "blocked": 0.0,
        "delayed": 0.0,
        "run": 0.1,
        "ready": 0.2,
        "wait": 0.7,
    }
    shown = store.get(TRACE, trace_id(1).hex())
    assert [one["name"] for one in shown["spans"]] == ["GET /", "task child"]
    child = shown["spans"][1]
    assert child["parent_id"] == span_id(11).hex()
    assert (child["start"], child["duration"], child["status"]) == (0.5, 1.0, "error")
    assert child["site"] == {"file": "/srv/app.py", "line": 7, "function": "main"}
    assert child["scope"] == {"name": "whence", "version": "1"}
    (process,) = shown["processes"].values()
    assert process["instance"] == "one"


def test_what_was_sent_twice_is_shown_once(store: Store) -> None:
    for _ in range(2):
        store.add(traces(span(1, 1)))
    assert len(store.get(TRACE, trace_id(1).hex())["spans"]) == 1


def test_attributes_of_every_kind_come_out_as_json_has_them(store: Store) -> None:
    told: dict[str, Any] = {
        "a": True,
        "b": 2**60,
        "c": 1.5,
        "d": ["x", 1],
        "e": float("nan"),
        "f": "",
    }
    store.add(traces(span(1, 1, **told)))
    (found,) = store.get(TRACE, trace_id(1).hex())["spans"]
    assert found["attributes"] == {**told, "b": str(2**60), "e": "nan"}
    assert found["type"] is found["run"] is found["site"] is found["delayed"] is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["slow", "blocking", "broken", "fast"]),
        ({"service": "bank"}, ["slow"]),
        ({"service": "nobody"}, []),
        ({"name": "ROKE"}, ["broken"]),
        ({"name": "inner"}, ["broken"]),
        ({"name": "%"}, []),
        ({"min": 5}, ["slow"]),
        ({"max": 0.5}, ["fast"]),
        ({"min": 0.1, "max": 2, "error": 1}, ["broken"]),
        ({"blocked": 1}, ["blocking"]),
        ({"from_": T0 + 25}, ["slow"]),
        ({"to": T0 + 5}, ["fast"]),
        ({"limit": 1}, ["slow"]),
    ],
)
def test_traces_are_searched(store: Store, asked: dict[str, object], expected: list[str]) -> None:
    store.add(traces(span(1, 1, name="fast", duration=0.1)))
    store.add(
        traces(
            span(2, 2, name="broken", start=10), span(2, 3, 2, name="inner", start=10, failed=True)
        )
    )
    store.add(traces(span(3, 4, name="blocking", start=20, whence__blocked__total_time=0.3)))
    store.add(
        traces(span(4, 5, name="slow", start=30, duration=9), resource={"service.name": "bank"})
    )
    assert names(store.get("/api/traces", **asked)) == expected


def test_pages_of_traces_follow_each_other(store: Store) -> None:
    store.add(traces(*(span(number, number, name=str(number)) for number in range(1, 6))))
    first = store.get("/api/traces", limit=2)
    second = store.get("/api/traces", limit=2, before=first["next"])
    last = store.get("/api/traces", limit=2, before=second["next"])
    shown = names(first) + names(second) + names(last)
    assert sorted(shown) == ["1", "2", "3", "4", "5"]
    assert last["next"] is None


def test_a_name_that_is_rare_among_many_is_found(store: Store) -> None:
    store.add(traces(span(1, 1, name="rare")))
    store.add(traces(*(span(number, number, name="usual") for number in range(2, 3_000))))
    found = store.get("/api/traces", name="rare")
    assert (names(found), found["complete"]) == (["rare"], True)


def test_links_lead_there_and_back(store: Store) -> None:
    store.add(traces(span(1, 1, name="server")))
    store.add(traces(span(2, 2, name="GET", links=[(1, 1, "trigger"), (9, 9, "trigger")])))
    (there,) = store.get(TRACE, trace_id(2).hex())["spans"]
    assert [(link["known"], link["attributes"]) for link in there["links"]] == [
        (True, {"whence.link": "trigger"}),
        (False, {"whence.link": "trigger"}),
    ]
    (back,) = store.get(TRACE, trace_id(1).hex())["linked_from"]
    assert back == {
        "trace_id": trace_id(2).hex(),
        "span_id": span_id(2).hex(),
        "target": span_id(1).hex(),
        "name": "GET",
        "start": T0,
        "link": "trigger",
    }


BLOCK = {
    "whence.blocked.time": 0.3,
    "code.file.path": "/srv/pages.py",
    "code.line.number": 106,
    "code.function.name": "typeset",
    "code.stacktrace": "the stack",
    "whence.delayed.number": 2,
    "whence.delayed.names": ["GET /search", "timer sleep"],
}


def test_blockers_are_summed_up_by_the_line_that_blocked(store: Store) -> None:
    longest = {**BLOCK, "whence.blocked.time": 0.9, "code.stacktrace": "the longest"}
    store.add(
        traces(
            whence_span(1, 1, name="GET /report", events=[("whence.blocked", 1, BLOCK)]),
            whence_span(2, 2, name="GET /report", events=[("whence.blocked", 2, longest)]),
            whence_span(3, 3, name="task", events=[("whence.blocked", 3, {})]),
        )
    )
    first, second = store.get("/api/blockers")["blockers"]
    assert first == {
        "service": "shop",
        "file": "/srv/pages.py",
        "line": 106,
        "function": "typeset",
        "number": 2,
        "total": pytest.approx(1.2),
        "max": 0.9,
        "last": T0 + 2,
        "delayed": 4,
        "delayed_names": ["GET /search", "timer sleep"],
        "names": ["GET /report"],
        "stack": "the longest",
        "example": {"trace_id": trace_id(2).hex(), "span_id": span_id(2).hex()},
    }
    assert (second["file"], second["line"], second["number"]) == (None, None, 1)
    assert store.get("/api/blockers", service="bank")["blockers"] == []
    later = store.get("/api/blockers", from_=T0 + 1.5, to=T0 + 2.5)["blockers"]
    assert [one["number"] for one in later] == [1]


def test_what_was_delayed_names_the_span_that_blocked(store: Store) -> None:
    store.add(traces(whence_span(1, 5, name="GET /report", events=[("whence.blocked", 1, BLOCK)])))
    delayed: dict[str, Any] = {"whence__delayed__by": 5, "whence__delayed__time": 0.2}
    store.add(traces(whence_span(2, 6, whence__delayed__blocker="GET /report", **delayed)))
    (found,) = store.get(TRACE, trace_id(2).hex())["spans"]
    assert found["delayed"] == {
        "by": 5,
        "blocker": "GET /report",
        "time": 0.2,
        "span": {"trace_id": trace_id(1).hex(), "span_id": span_id(5).hex()},
    }


def test_leaks_are_summed_up_by_creation_site(store: Store) -> None:
    for number in (1, 2):
        leaked = whence_span(number, number, start=number, whence__outcome="collected")
        store.add(traces(leaked, whence_span(number, 9)))
    metrics = Metrics().sum("whence.resource.leaked", 3, 1, whence__type="Future")
    store.add(metrics.sum("whence.resource.leaked", 0, 1, whence__type="Task").request)
    found = store.get("/api/leaks")
    assert found["sites"] == [
        {
            "service": "shop",
            "type": "Task",
            "name": "task work",
            "file": "/srv/app.py",
            "line": 7,
            "function": "main",
            "outcome": "collected",
            "number": 2,
            "first": T0 + 2,
            "last": T0 + 3,
            "example": {"trace_id": trace_id(2).hex(), "span_id": span_id(2).hex()},
        }
    ]
    assert [(row["type"], row["leaked"]) for row in found["types"]] == [("Future", 3)]


@pytest.mark.parametrize("parent_first", [True, False])
def test_flow_is_what_triggers_what_and_how_much_later(store: Store, parent_first: bool) -> None:
    parents = traces(whence_span(1, 1, name="GET /", kind=Span.SPAN_KIND_SERVER, duration=4))
    children = traces(
        whence_span(1, 2, 1, name="task a", start=1),
        whence_span(1, 3, 1, name="task a", start=3, failed=True),
        span(2, 4, name="linked", links=[(1, 1, "trigger")], start=2),
        span(3, 5, name="again", links=[(1, 1, "segment")]),
    )
    for request in (parents, children) if parent_first else (children, parents):
        store.add(request)
    found = store.get("/api/flow")
    nodes = {node["id"]: node for node in found["nodes"]}
    (task,) = [node for node in nodes.values() if node["name"] == "task a"]
    assert (task["number"], task["errors"], task["type"], task["line"]) == (2, 1, "Task", 7)
    assert (task["duration"], task["run"], task["wait"]) == (1.0, 0.1, 0.7)
    edges = [
        (nodes[edge["from"]]["name"], nodes[edge["to"]]["name"], edge["link"], edge["number"])
        for edge in found["edges"]
    ]
    assert edges == [("GET /", "task a", False, 2), ("GET /", "linked", True, 1)]
    assert found["edges"][0]["between"] == {"mean": 2.0, "max": 3.0}
    (linked,) = [node for node in nodes.values() if node["name"] == "linked"]
    assert (linked["type"], linked["run"], linked["file"]) == ("internal", None, None)


def test_flow_shows_the_most_frequent_and_says_how_many_it_does_not(store: Store) -> None:
    store.add(traces(span(1, 1, name="a"), span(1, 2, name="a"), span(1, 3, name="b")))
    found = store.get("/api/flow", limit=1)
    assert [node["name"] for node in found["nodes"]] == ["a"]
    assert found["left_out"] == {"nodes": 1}


def drawn(chart: dict[str, Any]) -> dict[tuple[str, ...], list[float | None]]:
    return {tuple(one["labels"].values()): one["values"] for one in chart["series"]}


def test_now_draws_what_grows_as_a_rate_and_the_rest_as_it_is(store: Store) -> None:
    task: dict[str, Any] = {"whence__type": "Task"}
    for at, created in ((10, 100), (20, 150), (30, 20)):
        metrics = Metrics().gauge("whence.eventloop.delay.p99", at / 100, at)
        metrics.sum("whence.resource.created", created, at, **task)
        metrics.sum("whence.resource.active", at, at, **task)
        store.add(metrics.sum("whence.blocked", at, at).request)
    found = store.get("/api/now", process=1, from_=T0 + 15, to=T0 + 40)
    charts = found["charts"]
    assert found["process"]["service"] == "shop"
    assert charts["delay"]["times"] == [T0 + 20, T0 + 30]
    assert drawn(charts["delay"]) == {("p99",): [0.2, 0.3]}
    # The second time it has begun again, at 0.
    assert drawn(charts["created"]) == {("Task",): [5.0, 2.0]}
    assert drawn(charts["active"]) == {("Task",): [20.0, 30.0]}
    assert drawn(charts["blocked"]) == {(): [60.0, 60.0]}
    assert charts["utilization"] == {"unit": "1", "times": [], "series": []}


def test_a_chart_has_no_more_times_than_a_page_has_room_for(store: Store) -> None:
    metrics = Metrics()
    for at in range(5_000):
        metrics.gauge("whence.eventloop.delay.max", at, at)
    store.add(metrics.request)
    chart = store.get("/api/now", process=1, from_=T0, to=T0 + 5_000)["charts"]["delay"]
    assert 500 <= len(chart["times"]) <= 601
    assert max(drawn(chart)[("max",)]) == 4_999  # type: ignore[type-var]


def test_any_metric_is_drawn_by_its_kind(store: Store) -> None:
    for at in (10, 20):
        metrics = Metrics().histogram("http.duration", [1, 2, 4], [0, 10 * at, 0, 0], at)
        metrics.sum("delta", 50, at, since=at - 10, delta=True)
        store.add(metrics.gauge("temperature", 21.5, at).request)
    listed = store.get("/api/metrics", process=1)["metrics"]
    assert [(row["name"], row["kind"]) for row in listed] == [
        ("delta", "sum"),
        ("http.duration", "histogram"),
        ("temperature", "gauge"),
    ]
    asked = {"process": 1, "from_": T0, "to": T0 + 60}
    histogram = store.get("/api/metrics/{name}", "http.duration", **asked)
    assert drawn(histogram["chart"])[("p50",)] == [1.5]
    delta = store.get("/api/metrics/{name}", "delta", **asked)
    assert drawn(delta["chart"]) == {(): [5.0, 5.0]}
    assert delta["chart"]["unit"] == "1/s"
    gauge = store.get("/api/metrics/{name}", "temperature", **asked)
    assert drawn(gauge["chart"]) == {(): [21.5, 21.5]}
    with pytest.raises(NotThere, match="no metric 'other'"):
        store.get("/api/metrics/{name}", "other", **asked)


def test_a_process_is_one_in_spans_and_metrics_and_another_instance_is_another(
    store: Store,
) -> None:
    store.add(traces(span(1, 1), resource={**SHOP, "process.pid": 7}))
    store.add(Metrics().gauge("a", 1, 1).request)
    store.add(traces(span(2, 2), resource={**SHOP, "service.instance.id": "two"}))
    found = store.get("/api/processes", service="shop")["processes"]
    assert sorted(one["instance"] for one in found) == ["one", "two"]
    (service,) = store.get("/api/services")["services"]
    assert (service["name"], service["processes"], service["traces"]) == ("shop", 2, 2)
    assert store.get("/api/names", service="shop") == {"names": ["task work"]}


def test_a_process_that_cannot_be_asked_says_why(store: Store) -> None:
    store.add(traces(span(1, 1)))
    elsewhere = {"telemetry.distro.name": "whence", "process.pid": 1, "host.name": "far.example"}
    store.add(traces(span(2, 2), resource=elsewhere))
    gone = {"telemetry.distro.name": "whence", "process.pid": 2**22 + 1}
    store.add(traces(span(3, 3), resource=gone))
    told = [store.get("/api/live", process=number) for number in (1, 2, 3)]
    assert [one["available"] for one in told] == [False] * 3
    assert "has no agent" in told[0]["reason"]
    assert "another machine (far.example)" in told[1]["reason"]
    assert str(2**22 + 1) in told[2]["reason"]


@pytest.mark.parametrize(
    ("path", "words", "asked", "error", "text"),
    [
        (TRACE, ("xyz",), {}, Wrong, "expected a trace id of 32 hex digits, not 'xyz'"),
        (TRACE, ("00" * 16,), {}, NotThere, "there is no trace 0000"),
        ("/api/now", (), {}, Wrong, "process: expected the id of a process"),
        ("/api/now", (), {"process": 7}, NotThere, "there is no process 7"),
        ("/api/now", (), {"process": "x"}, Wrong, "process: expected a whole number, not 'x'"),
        ("/api/traces", (), {"min": "much"}, Wrong, "min: expected a number of seconds, not"),
        ("/api/traces", (), {"from_": "-1"}, Wrong, "from: expected a number of seconds, not"),
        ("/api/traces", (), {"limit": "²"}, Wrong, "limit: expected a whole number, not"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    store: Store,
    path: str,
    words: tuple[str, ...],
    asked: dict[str, object],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error) as raised:
        store.get(path, *words, **asked)
    assert str(raised.value).startswith(text)
