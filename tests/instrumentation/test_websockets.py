"""Websockets of the library of that name."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from stories import until
from websockets.asyncio import server
from websockets.asyncio.client import ClientConnection, connect

import whence
from asgi_servers import recorded_requests
from telling import recorded
from whence.engine import open_lifetimes, recorder, ring
from whence.testing import record

Handler = Callable[[Any], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "websockets.server")


@asynccontextmanager
async def visited(handler: Handler) -> AsyncIterator[ClientConnection]:
    """A connection to a server with this handler."""
    async with server.serve(handler, "127.0.0.1", 0) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        headers = [
            ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
            ("x-secret", "secret"),
            ("baggage", "first=1"),
            ("baggage", "second=2"),
        ]
        url = f"ws://127.0.0.1:{port}/rooms/secret?secret"
        async with connect(url, additional_headers=headers) as connection:
            yield connection


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message.upper())


async def talk(handler: Handler) -> None:
    async with visited(handler) as connection:
        for word in ("one", "two"):
            await connection.send(word)
            assert await connection.recv() == word.upper()


def test_a_websocket_is_one_request_from_its_handlers_start_to_its_end() -> None:
    seen: list[tuple[int, bool]] = []

    async def handler(connection: Any) -> None:
        async for message in connection:
            is_resource = whence.execution_async_resource() is connection
            seen.append((whence.execution_async_id(), is_resource))
            await connection.send(message.upper())

    with record() as events:
        asyncio.run(talk(handler))
    (request,) = events.ids("Request")
    assert seen == [(request, True)] * 2
    assert events.type_of(events.trigger_of(request)) == "Task"
    assert events.names(request)[-1] == "destroy"


def test_it_says_that_it_is_a_websocket_and_whose_doing_it_is() -> None:
    with recorded_requests() as recorded:
        asyncio.run(talk(echo))
    request = recorded.request
    assert (request.name, request.outcome, request.code) == ("WEBSOCKET", "done", echo.__code__)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "network.protocol.name": "websocket",
        "url.scheme": "ws",
        "carrier": {
            "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
            "baggage": "first=1",
        },
    }
    link: Any = request.link
    assert (request.parent, link.name) == (None, "accept")


def test_the_tasks_that_keep_a_connection_are_no_spans() -> None:
    async def main() -> None:
        names.append(asyncio.current_task().get_coro().__qualname__)  # type: ignore[union-attr]
        await talk(echo)

    names: list[str] = []
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        asyncio.run(main())
        recorder.min_duration = before
        tasks = [span.name for span in ring.drain(1000) if span.type.name == "Task"]
    assert sorted(map(str, tasks)) == sorted([*names, "Server._close"])


def test_a_handler_that_fails_says_why() -> None:
    async def fail(connection: Any) -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        async with visited(fail) as connection:
            await connection.wait_closed()

    with recorded_requests() as recorded:
        asyncio.run(main())
    assert recorded.request.outcome == "failed"
    assert recorded.request.error == ("ValueError", "on purpose")


def test_a_guest_who_says_goodbye_is_no_failure() -> None:
    async def listen(connection: Any) -> None:
        while True:
            await connection.recv()

    async def main() -> None:
        async with visited(listen) as connection:
            await connection.send("hello")

    with recorded_requests() as recorded:
        asyncio.run(main())
    assert (recorded.request.outcome, recorded.request.error) == ("done", None)


def test_a_handler_that_is_cancelled_says_so() -> None:
    async def main() -> None:
        tasks: list[asyncio.Task[Any] | None] = []

        async def wait(connection: Any) -> None:
            tasks.append(asyncio.current_task())
            await connection.wait_closed()

        async with visited(wait) as connection:
            await until(lambda: tasks)
            assert tasks[0] is not None
            tasks[0].cancel()
            await connection.wait_closed()

    with recorded_requests() as recorded:
        asyncio.run(main())
    assert recorded.request.outcome == "cancelled"


def test_the_whole_library_offers_the_same_server() -> None:
    with record():
        assert websockets.serve is server.serve


_PROGRAM = """
import whence
from whence.testing import record
with record() as events:
    import asyncio
    {first}
    async def handler(connection):
        async for message in connection:
            await connection.send(message)
    async def main():
        async with {serve}(handler, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            from websockets.asyncio.client import connect
            async with connect(f"ws://127.0.0.1:{{port}}") as connection:
                await connection.send("one")
                await connection.recv()
    asyncio.run(main())
print(len(events.ids("Request")))
"""


@pytest.mark.parametrize(
    ("first", "serve"),
    [
        ("import websockets", "websockets.serve"),
        ("from websockets.asyncio.server import serve", "serve"),
        ("from websockets.asyncio.client import connect; import websockets", "websockets.serve"),
    ],
    ids=["the whole library", "the server first", "the client first"],
)
def test_it_is_seen_whatever_the_program_imports_first(first: str, serve: str) -> None:
    """The server's module imports that of connections, and is not whole by then."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(first=first, serve=serve)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_a_server_that_outlives_the_hooks_serves_on() -> None:
    async def main() -> None:
        with record():
            making = visited(echo)
            connection = await making.__aenter__()
        await connection.send("one")
        assert await connection.recv() == "ONE"
        await making.__aexit__(None, None, None)

    asyncio.run(main())
    assert [each for each in open_lifetimes.values() if each.type.name == "Request"] == []


def test_what_makes_servers_is_put_back() -> None:
    def maker() -> object:
        is_class = isinstance(server.serve, type)  # before websockets 17
        return vars(server.serve)["__init__"] if is_class else server.serve

    before = maker()
    with record():
        assert maker() is not before
    assert maker() is before
