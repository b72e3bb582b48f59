"""An aiohttp server under `whence run`, asked by customers who keep their connections."""

import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from drawing import check_drawing, names_in
from seen import SeenSpan
from services import CALLER, Service
from tracing import Tracing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")

CUSTOMERS = 4
ROUNDS = 10
"""Of each customer."""

ITEMS = CUSTOMERS * ROUNDS
CONNECTIONS = CUSTOMERS + 2

EVERYTHING = f"""
    task main
    server  closed <- task main
    signal  closed <- task main
    {CONNECTIONS} x accept  closed <- server
    {CONNECTIONS - 1} x task RequestHandler.start  cancelled <- accept
    task RequestHandler.start  <- accept
    {ITEMS} x GET /items/{{name}}  SERVER <- task RequestHandler.start
        2 x task price
            timer sleep
        executor stock
    {ITEMS} x GET /slow  SERVER <- task RequestHandler.start
        timer sleep
    GET /broken  SERVER failed <- task RequestHandler.start
    GET  SERVER <- task RequestHandler.start
"""


def shop(service: Service) -> None:
    """What a customer asks for over one connection."""
    with service.connection() as connection:
        for number in range(ROUNDS):
            assert service.get(connection, f"/items/tea-{number}") == 200
            assert service.get(connection, "/slow") == 200


def be_visited(service: Service) -> None:
    """Customers come at the same time; then one finds something broken, and one nothing."""
    with ThreadPoolExecutor(CUSTOMERS) as customers:
        for visit in [customers.submit(shop, service) for _ in range(CUSTOMERS)]:
            visit.result()
    for path, status in (("/broken", 500), ("/nowhere/at/all", 404)):
        with service.connection() as connection:
            assert service.get(connection, path) == status


def named(spans: Iterable[SeenSpan], name: str) -> list[SeenSpan]:
    """Those of this name."""
    return [span for span in spans if span.name == name]


LOOPS = [
    "asyncio",
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not made for this system"),
    ),
]
both_loops = pytest.mark.parametrize("loop", LOOPS)


@both_loops
def test_each_request_on_a_kept_connection_is_a_trace(traced: Tracing, loop: str) -> None:
    service = Service(traced, "web", "--min-duration", "0", loop=loop)
    be_visited(service)
    check_drawing(service.spans(), EVERYTHING)


@both_loops
def test_requests_that_are_sent_together_are_a_trace_each(traced: Tracing, loop: str) -> None:
    service = Service(traced, "web", "--min-duration", "0", loop=loop)
    assert service.get_together(*["/slow"] * 5) == 5
    check_drawing(
        service.spans(),
        """
        task main
        server  closed <- task main
        signal  closed <- task main
        accept  closed <- server
        task RequestHandler.start  <- accept
        5 x GET /slow  SERVER <- task RequestHandler.start
            timer sleep
        """,
    )


def test_what_is_left_of_requests_without_the_short_ones_is_in_its_place(traced: Tracing) -> None:
    service = Service(traced, "web")
    be_visited(service)
    spans = service.spans()
    everything = names_in(EVERYTHING)
    assert Counter(span.name for span in spans) <= everything
    for request in ("GET /items/{name}", "GET /slow", "GET /broken"):
        assert len(named(spans, request)) == everything[request]


def test_a_request_says_what_was_asked_and_who_answered(traced: Tracing) -> None:
    service = Service(traced, "web")
    with service.connection() as connection:
        service.get(connection, "/items/oolong?size=2")
        service.get(connection, "/broken")
    spans = service.spans()
    (item,) = named(spans, "GET /items/{name}")
    said = {key: item.attributes[key] for key in item.attributes if key.startswith(("http", "url"))}
    assert said == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{name}",
        "url.scheme": "http",
    }
    assert (item.status, item.outcome) == ("UNSET", "done")
    assert Path(item.attributes["code.file.path"]).name == "web.py"
    assert item.attributes["code.function.name"] == "item"

    (broken,) = named(spans, "GET /broken")
    assert (broken.status, broken.outcome) == ("ERROR", "failed")
    assert broken.status_text == "ValueError: out of tea"
    assert broken.attributes["http.response.status_code"] == 500
    assert broken.attributes["error.type"] == "ValueError"
    (event,) = broken.events
    assert event == (
        "exception",
        {"exception.type": "ValueError", "exception.message": "out of tea"},
    )


def test_a_request_that_another_service_sent_continues_its_trace(traced: Tracing) -> None:
    trace_id, span_id = CALLER
    service = Service(traced, "web")
    with service.connection() as connection:
        sent = {"traceparent": f"00-{trace_id}-{span_id}-01", "tracestate": "shop=tea"}
        assert service.get(connection, "/slow", **sent) == 200
        assert service.get(connection, "/items/assam") == 200
    spans = service.spans(remote={"GET /slow": span_id})
    (slow,) = named(spans, "GET /slow")
    (item,) = named(spans, "GET /items/{name}")
    assert (slow.trace_id, slow.parent_id, slow.trace_state) == (trace_id, span_id, "shop=tea")
    assert [span.name for span in spans if span.parent_id == slow.span_id] == ["timer sleep"]
    assert (item.trace_id == trace_id, item.parent_id) == (False, "")


def test_what_another_service_does_not_sample_is_not_sent(traced: Tracing) -> None:
    trace_id, span_id = CALLER
    service = Service(traced, "web")
    with service.connection() as connection:
        unsampled = f"00-{trace_id}-{span_id}-00"
        assert service.get(connection, "/slow", traceparent=unsampled) == 200
        assert service.get(connection, "/items/assam") == 200
    spans = service.spans()
    assert len(named(spans, "GET /items/{name}")) == 1
    assert [span for span in spans if span.trace_id == trace_id] == []
    assert named(spans, "GET /slow") == []
