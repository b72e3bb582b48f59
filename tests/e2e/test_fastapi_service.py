"""A FastAPI application on uvicorn under `whence run`, with every parser, on both loops."""

import signal
import socket
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import pytest
from websockets.sync.client import connect

from drawing import check_drawing
from launching import Launcher
from receivers import HttpReceiver
from rules import check_spans
from seen import spans_of
from services import CALLER, Service
from tracing import PROGRAMS, Tracing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")

CUSTOMERS = 3
ROUNDS = 4
"""Of each customer."""

EACH = CUSTOMERS * ROUNDS

EVERYTHING = f"""
    task LifespanOn.main
    server  closed
    {CUSTOMERS + 2} x accept  closed <- server
    {EACH} x GET /items/{{name}}  SERVER <- accept
        2 x task price
            timer sleep
        executor stock
    {EACH} x GET /shops/{{shop}}/plain/{{name}}  SERVER <- accept
        executor plain
    {EACH} x GET /orders/{{number}}  SERVER <- accept
        executor deliver
    GET  SERVER <- accept
    GET /broken  SERVER failed <- accept
    WEBSOCKET /rooms/{{name}}  SERVER <- accept
"""

TOGETHER = """
    task LifespanOn.main
    server  closed
    accept  closed <- server
    5 x GET /slow  SERVER <- accept
        timer sleep
"""

on_every_stack = pytest.mark.parametrize(
    ("http", "loop"),
    [
        ("h11", "asyncio"),
        ("httptools", "asyncio"),
        pytest.param(
            *("httptools", "uvloop"),
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
        ),
    ],
)


def shop(service: Service) -> None:
    """What a customer asks for over one connection."""
    with service.connection() as connection:
        for number in range(ROUNDS):
            assert service.get(connection, f"/items/tea-{number}?size=2") == 200
            assert service.get(connection, f"/shops/{number}/plain/tea") == 200
            assert service.get(connection, f"/orders/{number}") == 200


def be_visited(service: Service) -> None:
    """Customers come at the same time; one then finds nothing and something broken, one talks."""
    with ThreadPoolExecutor(CUSTOMERS) as customers:
        for visit in [customers.submit(shop, service) for _ in range(CUSTOMERS)]:
            visit.result()
    with service.connection() as connection:
        assert service.get(connection, "/nowhere/at/all") == 404
        assert service.get(connection, "/broken") == 500
    with connect(f"ws://127.0.0.1:{service.port}/rooms/tea") as room:
        for word in ("one", "two"):
            room.send(word)
            assert room.recv() == word.upper()
        room.send("bye")


@on_every_stack
def test_each_request_on_a_kept_connection_is_a_trace(
    traced: Tracing, http: str, loop: str
) -> None:
    service = Service(traced, "fastapi_service", "--min-duration", "0", loop=loop, HTTP=http)
    be_visited(service)
    check_drawing(service.spans(), EVERYTHING)


@on_every_stack
def test_requests_that_are_sent_together_are_a_trace_each(
    traced: Tracing, http: str, loop: str
) -> None:
    service = Service(traced, "fastapi_service", "--min-duration", "0", loop=loop, HTTP=http)
    assert service.get_together(*["/slow"] * 5) == 5
    check_drawing(service.spans(), TOGETHER)


def test_a_request_says_what_was_asked_and_who_answered(traced: Tracing) -> None:
    service = Service(traced, "fastapi_service", HTTP="h11")
    with service.connection() as connection:
        service.get(connection, "/items/oolong?size=2")
        service.get(connection, "/broken")
    named = {span.name: span for span in service.spans()}
    item = named["GET /items/{name}"]
    said = {key: item.attributes[key] for key in item.attributes if key.startswith(("http", "url"))}
    assert said == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{name}",
        "url.scheme": "http",
    }
    assert (item.status, item.outcome) == ("UNSET", "done")
    assert Path(item.attributes["code.file.path"]).name == "fastapi_service.py"
    assert item.attributes["code.function.name"] == "item"

    broken = named["GET /broken"]
    assert (broken.status, broken.status_text) == ("ERROR", "ValueError: out of tea")
    assert broken.attributes["http.response.status_code"] == 500
    assert broken.attributes["error.type"] == "ValueError"


def test_a_request_that_another_service_sent_continues_its_trace(traced: Tracing) -> None:
    trace_id, span_id = CALLER
    service = Service(traced, "fastapi_service", HTTP="httptools")
    with service.connection() as connection:
        sent = {"traceparent": f"00-{trace_id}-{span_id}-01", "tracestate": "shop=tea"}
        assert service.get(connection, "/slow", **sent) == 200
        assert service.get(connection, "/items/assam") == 200
    spans = service.spans(remote={"GET /slow": span_id})
    (slow,) = [span for span in spans if span.name == "GET /slow"]
    (item,) = [span for span in spans if span.name == "GET /items/{name}"]
    assert (slow.trace_id, slow.parent_id, slow.trace_state) == (trace_id, span_id, "shop=tea")
    assert [span.name for span in spans if span.parent_id == slow.span_id] == ["timer sleep"]
    assert (item.trace_id == trace_id, item.parent_id) == (False, "")


def test_a_websocket_that_lasts_comes_in_segments(traced: Tracing) -> None:
    options = ("--segment", "0.2", "--min-duration", "0")
    service = Service(traced, "fastapi_service", *options, HTTP="h11")
    received = traced.receiver.received
    with service.connection() as connection:
        assert service.get(connection, "/slow") == 200
    with connect(f"ws://127.0.0.1:{service.port}/rooms/tea") as room:
        while Counter(span.name for span in received.spans)["WEBSOCKET /rooms/{name}"] < 2:
            room.send("one")
            assert room.recv(timeout=30) == "ONE"
        room.send("bye")
    ended = service.end()
    assert ended.code == 0, ended.err
    spans = spans_of(received.requests)
    check_spans(spans)
    segments = [span for span in spans if span.name == "WEBSOCKET /rooms/{name}"]
    assert [span.outcome for span in segments] == ["open"] * (len(segments) - 1) + ["done"]
    assert len({span.trace_id for span in segments}) == len(segments) >= 3
    assert {(span.kind, span.parent_id) for span in segments} == {("SERVER", "")}


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_the_command_of_uvicorn_has_sent_everything_when_its_signal_ends_it(
    launch: Launcher, http_receiver: HttpReceiver, workers: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = ["fastapi_service:app", "--app-dir", str(PROGRAMS), "--port", str(port), *workers]
    uvicorn = str(launch.scripts() / "uvicorn")
    process = launch.start(
        *launch.whence, "run", "-q", "--endpoint", http_receiver.url, uvicorn, *serving
    )
    assert process.stderr is not None
    awaited = Counter({"Application startup complete": max(1, len(workers)), "running on": 1})
    while awaited.total():
        line = process.stderr.readline()
        assert line, "uvicorn has ended"
        awaited -= Counter(text for text in awaited if text in line)
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/slow")
        assert connection.getresponse().status == 200
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (0 if workers else -signal.SIGTERM), err
    names = Counter(span.name for span in spans_of(http_receiver.received.requests))
    assert names["GET /slow"] == 1
    # What ends last has come as well.
    assert names["task LifespanOn.main"] == names["server"] == max(1, len(workers))
