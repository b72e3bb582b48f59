"""Requests of ASGI servers, whichever it is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from stories import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

import whence
from asgi_servers import (
    HTTP,
    WEBSOCKETS,
    Application,
    customer,
    live,
    recorded_requests,
    respond,
    responding,
    serving,
)
from telling import recorded
from whence import execution_async_resource
from whence.instrumentation.asgi import serve
from whence.naming import short_name
from whence.testing import Events, record

pytestmark = [
    # uvicorn's oldest implementation of websockets says so of itself, and of the library.
    pytest.mark.filterwarnings("ignore:.*legacy.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*deprecated"),
    pytest.mark.filterwarnings("ignore:remove second argument of ws_handler"),
]

every_server = pytest.mark.parametrize("server", HTTP)
every_server_of_websockets = pytest.mark.parametrize("server", WEBSOCKETS)

NOBODY_LISTENS = logging.CRITICAL + 1


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What servers log of failing applications is no failure of a test."""
    for name in ("uvicorn.error", "uvicorn.access", "hypercorn.error"):
        caplog.set_level(NOBODY_LISTENS, name)


def run(main: Callable[[], Awaitable[Any]]) -> Events:
    with record() as events:
        asyncio.run(main())  # type: ignore[arg-type]
    return events


class Handler:
    """An application that notes what executes, before and after a wait."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        self.paths.append(scope["path"])
        self.seen.append(whence.execution_async_id())
        await asyncio.sleep(0.001)
        self.seen.append(whence.execution_async_id())
        await respond(send, body=b"hello")


@every_server
def test_requests_on_one_connection_are_each_one_resource(server: str) -> None:
    handler = Handler()

    async def main() -> None:
        async with serving(handler, server) as port, customer(port) as someone:
            for _ in range(3):
                assert await someone.get("/") == 200

    events = run(main)
    requests = events.ids("Request")
    assert len(requests) == 3
    assert handler.seen == [i for request in requests for i in (request, request)]
    for request in requests:
        assert events.type_of(events.trigger_of(request)) == "Task"
        names = events.names(request)
        assert (names[0], names[-1]) == ("init", "destroy")
        assert names.count("before") == names.count("after") >= 2


@every_server
def test_requests_that_are_sent_together_are_each_one_resource(server: str) -> None:
    handler = Handler()

    async def main() -> None:
        async with serving(handler, server) as port, customer(port) as someone:
            for number in range(3):
                someone.ask(f"/{number}")
            assert [await someone.answer() for _ in range(3)] == [200] * 3

    events = run(main)
    assert handler.paths == ["/0", "/1", "/2"]
    assert handler.seen == [i for request in events.ids("Request") for i in (request, request)]


@every_server
def test_what_a_request_makes_is_its_own_doing(server: str) -> None:
    made: list[int] = []

    async def child() -> None:
        made.append(whence.trigger_async_id())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await asyncio.create_task(child())
        await respond(send)

    async def main() -> None:
        async with serving(application, server) as port, customer(port) as someone:
            for _ in range(2):
                await someone.get("/")

    events = run(main)
    assert made == events.ids("Request")


@every_server
def test_the_life_of_the_server_is_no_request(server: str) -> None:
    async def main() -> None:
        async with serving(responding(), server) as port, customer(port):
            pass

    assert run(main).ids("Request") == []


async def raises(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    raise ValueError("on purpose")


async def raises_late(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await respond(send, 202)
    raise ValueError("on purpose")


async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)


ON_PURPOSE = ("ValueError", "on purpose")


@every_server
@pytest.mark.parametrize(
    ("application", "status", "outcome", "error"),
    [
        (responding(200), 200, "done", None),
        (responding(404), 404, "done", None),
        (responding(503), 503, "failed", ("503", "Service Unavailable")),
        (responding(599), 599, "failed", ("599", "")),
        (raises, 500, "failed", ON_PURPOSE),
        (raises_late, 202, "failed", ON_PURPOSE),
    ],
)
def test_a_request_knows_how_it_was_answered(
    application: Application, status: int, outcome: str, error: Any, server: str
) -> None:
    traceparent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"

    async def main() -> None:
        async with serving(application, server) as port, customer(port) as someone:
            headers = f"traceparent: {traceparent}", "authorization: secret"
            assert await someone.get("/orders/5?q=secret", *headers) == status

    with recorded_requests() as recorded:
        asyncio.run(main())
    request = recorded.request
    assert (request.name, request.outcome, request.error) == ("GET", outcome, error)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": status,
        "url.scheme": "http",
        "carrier": {"traceparent": traceparent},
    }


@pytest.mark.parametrize("server", HTTP[:2])
def test_an_application_that_says_nothing_is_answered_for_by_the_server(server: str) -> None:
    async def main() -> None:
        async with serving(says_nothing, server) as port, customer(port) as someone:
            assert await someone.get("/") == 500

    with recorded_requests() as recorded:
        asyncio.run(main())
    assert recorded.request.outcome == "failed"
    assert recorded.request.error == ("500", "Internal Server Error")


@every_server
def test_a_method_that_a_customer_has_made_up_is_in_no_name(server: str) -> None:
    async def main() -> None:
        async with serving(responding(), server) as port, customer(port) as someone:
            assert await someone.get("/", method="SECRET") in (200, 400)
            async with customer(port) as another:
                assert await another.get("/", method="DELETE") == 200

    with recorded_requests() as recorded:
        asyncio.run(main())
    *unknown, known = [(each.name, each.attributes) for each in recorded.requests]
    assert all("SECRET" not in str(said) for said in unknown)
    assert [name for name, _ in unknown] in (["HTTP"], []), "httptools refuses it"
    assert known[0] == "DELETE"


@every_server
def test_a_customer_who_goes_away_ends_the_request(server: str) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await live(receive, send)
                return
            started.set()
            while (await receive())["type"] != "http.disconnect":
                pass

        async with serving(application, server) as port, customer(port) as someone:
            someone.ask("/")
            await started.wait()
            someone.leave()
            (request,) = events.ids("Request")
            await until(lambda: "destroy" in events.names(request))

    with record() as events:
        asyncio.run(main())
    (request,) = events.ids("Request")
    assert events.names(request).count("destroy") == 1


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, answers every text in capitals, and leaves when it hears "bye"."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect" or message["text"] == "bye":
            break
        await send({"type": "websocket.send", "text": message["text"].upper()})
    if message["type"] == "websocket.receive":
        await send({"type": "websocket.close"})


async def chat(connection: ClientConnection) -> None:
    for word in ("one", "two", "three"):
        await connection.send(word)
        assert await connection.recv() == word.upper()
    await connection.send("bye")
    await connection.wait_closed()


@every_server_of_websockets
def test_a_websocket_is_one_request_from_its_handshake_to_its_end(server: str) -> None:
    async def main() -> None:
        async with serving(echo, server) as port:
            async with connect(f"ws://127.0.0.1:{port}/rooms/secret") as connection:
                await chat(connection)
            await until(lambda: "destroy" in events.names(events.ids("Request")[0]))

    with record() as events:
        asyncio.run(main())
    (request,) = events.ids("Request")
    assert events.names(request).count("destroy") == 1


@every_server_of_websockets
def test_a_websocket_says_that_it_is_one(server: str) -> None:
    async def main() -> None:
        async with (
            serving(echo, server) as port,
            connect(f"ws://127.0.0.1:{port}/rooms/secret") as connection,
        ):
            await chat(connection)

    with recorded_requests() as recorded:
        asyncio.run(main())
    request = recorded.request
    assert (request.name, request.outcome, request.error) == ("WEBSOCKET", "done", None)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "network.protocol.name": "websocket",
        "url.scheme": "ws",
    }


@every_server_of_websockets
def test_a_websocket_that_is_refused_knows_it(server: str) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await receive()
        await send({"type": "websocket.close"})

    async def main() -> None:
        async with serving(refuse, server) as port:
            with pytest.raises(InvalidStatus, match="403"):
                async with connect(f"ws://127.0.0.1:{port}/"):
                    pass

    with recorded_requests() as recorded:
        asyncio.run(main())
    request = recorded.request
    assert (request.name, request.outcome) == ("WEBSOCKET", "done")
    assert (request.attributes or {})["http.response.status_code"] == 403


@every_server_of_websockets
def test_a_websocket_that_fails_says_why(server: str) -> None:
    async def main() -> None:
        async with serving(raises, server) as port:
            with pytest.raises(InvalidStatus, match="500"):
                async with connect(f"ws://127.0.0.1:{port}/"):
                    pass

    with recorded_requests() as recorded:
        asyncio.run(main())
    request = recorded.request
    assert (request.outcome, request.error) == ("failed", ON_PURPOSE)
    assert (request.attributes or {})["http.response.status_code"] == 500


@every_server
def test_the_task_that_a_server_makes_for_a_request_is_no_span(server: str) -> None:
    async def main() -> None:
        async with serving(responding(), server) as port, customer(port) as someone:
            await someone.get("/")

    with recorded_requests() as recorded:
        asyncio.run(main())
    link: Any = recorded.request.link
    assert recorded.request.parent is None
    assert not link.transparent
    assert short_name(link.name) in ("accept", "_server_callback")


def test_what_is_no_proper_asgi_is_served_all_the_same() -> None:
    served: list[object] = []

    class Cycle:
        """What a server serves a request with."""

    async def application() -> None:
        served.append(execution_async_resource())

    async def main() -> Any:
        async def run(noted: Callable[[], Awaitable[None]]) -> str:
            await noted()
            return "done"

        asgi_scope = {"type": "http", "headers": 5}
        return await serve(run, application, asgi_scope, cycle, own_coroutine="")

    cycle = Cycle()
    with recorded(), record() as events:
        assert asyncio.run(main()) == "done"
    assert served == [cycle]
    (request,) = events.ids("Request")
    assert events.names(request)[-1] == "destroy"
