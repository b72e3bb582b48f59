"""Requests of an aiohttp server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from stories import until

import whence
from telling import recorded
from whence.engine import SpanLifetime, open_lifetimes, recorder, ring
from whence.testing import Events, record

aiohttp = pytest.importorskip("aiohttp")
web = pytest.importorskip("aiohttp.web")

LIFE_OF_ONE_STEP = ["init", "before", "after", "destroy"]


class Site:
    """A running application, and a client of it."""

    def __init__(self, url: str, session: Any) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        async with self.session.get(self.url + path, **options) as response:
            return response.status, await response.text()


@asynccontextmanager
async def site(*routes: Any, **options: Any) -> AsyncIterator[Site]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0)
    await tcp.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as session:
            yield Site(f"http://{host}:{port}", session)
    finally:
        await runner.cleanup()


class Handler:
    """Notes what executes, before and after a wait, and answers."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.resources: list[object] = []
        self.tasks: list[asyncio.Task[Any] | None] = []

    async def handle(self, request: Any) -> Any:
        self.note(request)
        await asyncio.sleep(0.001)
        self.note(request)
        return web.Response(text="hello")

    def note(self, request: Any) -> None:
        self.seen.append(whence.execution_async_id())
        self.resources.append(whence.execution_async_resource() is request)
        self.tasks.append(asyncio.current_task())


def run(main: Callable[[], Awaitable[Any]]) -> Events:
    with record() as events:
        asyncio.run(main())  # type: ignore[arg-type]
    return events


def test_requests_on_one_connection_are_each_one_resource() -> None:
    handler = Handler()

    async def main() -> None:
        async with site(web.get("/", handler.handle)) as running:
            for _ in range(3):
                assert await running.get("/") == (200, "hello")

    events = run(main)
    requests = events.ids("Request")
    assert len(requests) == 3
    assert len(events.ids("Transport")) == 2, "one connection, two ends"
    assert handler.seen == [i for request in requests for i in (request, request)]
    assert all(handler.resources)
    for request in requests:
        names = events.names(request)
        assert names[0] == "init"
        assert names[-1] == "destroy"
        assert names.count("before") == names.count("after") >= 2


def test_a_request_runs_inside_the_steps_of_the_task_that_serves_it() -> None:
    handler = Handler()

    async def main() -> None:
        async with site(web.get("/", handler.handle)) as running:
            await running.get("/")

    events = run(main)
    (request,) = events.ids("Request")
    task = events.trigger_of(request)
    assert events.type_of(task) == "Task"
    story = [(e[0], "request" if e[1] == request else "task") for e in events.of(request, task)]
    inside = [name for name in story if name[0] in ("before", "after")]
    depth: list[str] = []
    for name, of in inside:
        if name == "before":
            depth.append(of)
            assert depth in (["task"], ["task", "request"])
        else:
            assert depth.pop() == of
    assert depth == []


def test_what_a_handler_makes_is_the_requests_doing_and_not_the_next_ones() -> None:
    made: list[int] = []

    async def child() -> None:
        made.append(whence.trigger_async_id())
        await asyncio.sleep(0)

    async def handler(request: Any) -> Any:
        await asyncio.create_task(child())
        return web.Response()

    async def main() -> None:
        async with site(web.get("/", handler)) as running:
            for _ in range(2):
                await running.get("/")

    events = run(main)
    assert made == events.ids("Request")


def open_requests() -> list[Any]:
    return [x for x in open_lifetimes.values() if x.type.name == "Request"]


def spans_of(main: Callable[[], Awaitable[Any]]) -> list[SpanLifetime]:
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            asyncio.run(main())  # type: ignore[arg-type]
        finally:
            recorder.min_duration = before
        assert open_requests() == []
        return [
            span
            for span in ring.drain(10_000)
            if isinstance(span, SpanLifetime) and span.type.name == "Request"
        ]


async def item(request: Any) -> Any:
    return web.Response(text=request.match_info["id"])


async def refuse(request: Any) -> Any:
    raise web.HTTPForbidden


async def fail(request: Any) -> Any:
    raise ValueError("on purpose")


async def unavailable(request: Any) -> Any:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("path", "status", "name", "outcome", "error"),
    [
        ("/items/5?q=secret", 200, "GET /items/{id}", "done", None),
        ("/nowhere", 404, "GET", "done", None),
        ("/refuse", 403, "GET /refuse", "done", None),
        ("/fail", 500, "GET /fail", "failed", ("ValueError", "on purpose")),
        ("/unavailable", 503, "GET /unavailable", "failed", ("503", "Service Unavailable")),
    ],
)
def test_a_request_is_named_by_its_route_and_knows_how_it_was_answered(
    path: str,
    status: int,
    name: str,
    outcome: str,
    error: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        routes = (
            web.get("/items/{id}", item),
            web.get("/refuse", refuse),
            web.get("/fail", fail),
            web.get("/unavailable", unavailable),
        )
        async with site(*routes) as running:
            traceparent = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
            assert (await running.get(path, headers=traceparent))[0] == status

    with caplog.at_level(logging.CRITICAL, "aiohttp.server"):
        (span,) = spans_of(main)
    assert (span.name, span.outcome, span.error) == (name, outcome, error)
    attributes = dict(span.attributes or {})
    carrier = attributes.pop("carrier")
    assert {key.lower() for key in carrier} == {"traceparent"}
    route = {"http.route": name.removeprefix("GET ")} if name != "GET" else {}
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": status,
        "url.scheme": "http",
        **route,
    }
    if path.startswith("/items"):
        assert span.code is item.__code__


def test_a_request_that_lasts_is_named_as_soon_as_its_route_is_found() -> None:
    names: list[Any] = []

    async def handler(request: Any) -> Any:
        (lifetime,) = open_requests()
        names.append(lifetime.name)
        return web.Response()

    async def main() -> None:
        async with site(web.get("/{anything}", handler)) as running:
            await running.get("/value")

    spans_of(main)
    assert names == ["GET /{anything}"]


def test_a_websocket_is_one_request_from_the_first_message_to_the_last() -> None:
    seen: list[int] = []

    async def handler(request: Any) -> Any:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            seen.append(whence.execution_async_id())
            await socket.send_str(message.data.upper())
        seen.append(whence.execution_async_id())
        return socket

    async def main() -> None:
        async with site(web.get("/socket", handler)) as running:
            async with running.session.ws_connect(running.url + "/socket") as socket:
                for word in ("one", "two", "three"):
                    await socket.send_str(word)
                    assert await socket.receive_str() == word.upper()
                (request,) = events.ids("Request")
                assert "destroy" not in events.names(request)
            await until(lambda: "destroy" in events.names(request))

    with record() as events:
        asyncio.run(main())
    assert seen == [*events.ids("Request")] * 4


def test_a_websocket_says_that_it_is_one() -> None:
    async def handler(request: Any) -> Any:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    async def main() -> None:
        async with (
            site(web.get("/rooms/{name}", handler)) as running,
            running.session.ws_connect(running.url + "/rooms/secret") as socket,
        ):
            assert await socket.receive_str() == "hello"

    (span,) = spans_of(main)
    assert (span.name, span.outcome) == ("WEBSOCKET /rooms/{name}", "done")
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "http.route": "/rooms/{name}",
        "network.protocol.name": "websocket",
        "url.scheme": "ws",
    }


def test_a_client_that_goes_away_ends_its_request() -> None:
    async def main() -> None:
        started, gate = asyncio.Event(), asyncio.Event()

        async def handler(request: Any) -> Any:
            started.set()
            await gate.wait()
            return web.Response()

        async with site(web.get("/", handler), handler_cancellation=True) as running:
            waiting = asyncio.create_task(running.get("/"))
            await started.wait()
            waiting.cancel()
            await asyncio.wait([waiting])
            (request,) = events.ids("Request")
            await until(lambda: "destroy" in events.names(request))

    with record() as events:
        asyncio.run(main())
    (request,) = events.ids("Request")
    assert events.names(request).count("destroy") == 1


def test_a_cancelled_request_says_so() -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def handler(request: Any) -> Any:
            started.set()
            await asyncio.sleep(60)

        async with site(web.get("/", handler), handler_cancellation=True) as running:
            waiting = asyncio.create_task(running.get("/"))
            await started.wait()
            waiting.cancel()
            await asyncio.wait([waiting])
            await until(
                lambda: [x for x in open_lifetimes.values() if x.type.name == "Request"] == []
            )

    (span,) = spans_of(main)
    assert (span.name, span.outcome, span.error) == ("GET /", "cancelled", None)
    assert "http.response.status_code" not in (span.attributes or {})


def test_what_a_customer_has_sent_wrongly_is_no_failure_and_not_told() -> None:
    async def main() -> None:
        async with site(web.get("/", item)) as running:
            host, port = running.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"MADEUP /secret HTTP/1.1\r\n\r\n")
            await reader.read()
            writer.close()

    (span,) = spans_of(main)
    assert (span.name, span.outcome, span.error) == ("HTTP", "done", None)
    assert (span.attributes or {})["http.response.status_code"] == 400


def test_a_request_that_cannot_be_parsed_is_answered_as_ever() -> None:
    async def main() -> bytes:
        async with site(web.get("/", item)) as running:
            host, port = running.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"NONSENSE\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    with record() as events:
        assert asyncio.run(main()).startswith(b"HTTP/1.0 400")
    assert [events.names(i)[-1] for i in events.ids("Request")] == ["destroy"]


def test_a_low_level_server_has_requests_without_routes() -> None:
    async def handler(request: Any) -> Any:
        return web.Response(text=request.method)

    async def main() -> None:
        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}/any/path"
        async with aiohttp.ClientSession() as session, session.post(url) as response:
            assert await response.text() == "POST"
        await runner.cleanup()

    (span,) = spans_of(main)
    assert (span.name, span.outcome) == ("POST", "done")


def test_the_task_that_serves_has_the_name_that_aiohttp_gave_it() -> None:
    handler = Handler()

    async def main() -> None:
        async with site(web.get("/", handler.handle)) as running:
            await running.get("/")

    run(main)
    (task,) = set(handler.tasks)
    assert task is not None
    assert task.get_coro().__qualname__ in (  # type: ignore[union-attr]
        "RequestHandler._handle_request",
        "RequestHandler.start",
    )


def test_an_aiohttp_that_gives_its_method_more_to_know_has_requests_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from aiohttp import web_protocol

    serve = web_protocol.RequestHandler._handle_request

    async def _handle_request(self: Any, request: Any, *args: Any, more: int = 0) -> Any:
        return await serve(self, request, *args)

    monkeypatch.setattr(web_protocol.RequestHandler, "_handle_request", _handle_request)

    async def main() -> None:
        async with site(web.get("/items/{id}", item)) as running:
            assert await running.get("/items/5") == (200, "5")

    (span,) = spans_of(main)
    assert (span.name, span.outcome) == ("GET /items/{id}", "done")


def test_a_request_of_the_program_s_own_making_is_one_as_far_as_it_says() -> None:
    from aiohttp import web_protocol

    class Own:
        """All that a program's factory has to give."""

        method, scheme, headers, _task = "PUT", "https", {"b3": "somebody"}, None

    async def main() -> None:
        handler: Any = web_protocol.RequestHandler.__new__(web_protocol.RequestHandler)
        with pytest.raises(AttributeError):
            await handler._handle_request(Own(), None, refuse)

    (span,) = spans_of(main)
    assert (span.name, span.outcome) == ("PUT", "failed")
    assert (span.attributes or {})["carrier"] == {"b3": "somebody"}


def test_the_methods_of_aiohttp_are_put_back() -> None:
    from aiohttp import web_protocol, web_urldispatcher

    places: list[tuple[Any, str]] = [
        (web_protocol.RequestHandler, "_handle_request"),
        (web_protocol.RequestHandler, "handle_error"),
        (web_urldispatcher.UrlMappingMatchInfo, "freeze"),
        (web.WebSocketResponse, "_pre_start"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with record():
        during = [vars(owner)[name] for owner, name in places]
        assert not any(a is b for a, b in zip(before, during, strict=True))
        assert asyncio.iscoroutinefunction(web_protocol.RequestHandler._handle_request)
    after = [vars(owner)[name] for owner, name in places]
    assert all(a is b for a, b in zip(before, after, strict=True))
