"""What of hypercorn is not as with every ASGI server."""

import asyncio
from typing import Any

import httpx

import whence
from asgi_servers import customer, live, respond, responding, serving
from telling import recorded
from whence.engine import SpanLifetime, recorder, ring
from whence.testing import record


def test_requests_of_one_http2_connection_are_each_one_resource() -> None:
    together = asyncio.Barrier(3)
    seen: list[tuple[int, int]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        assert scope["http_version"] == "2"
        before = whence.execution_async_id()
        await together.wait()
        seen.append((before, whence.execution_async_id()))
        await respond(send, body=b"hello")

    async def main() -> None:
        async with (
            serving(application, "hypercorn") as port,
            httpx.AsyncClient(http1=False, http2=True) as client,
        ):
            url = f"http://127.0.0.1:{port}/"
            answers = await asyncio.gather(*(client.get(url) for _ in range(3)))
            assert [answer.status_code for answer in answers] == [200] * 3

    with record() as events:
        asyncio.run(main())
    requests = events.ids("Request")
    assert len(requests) == 3
    assert sorted(seen) == [(request, request) for request in requests]
    assert all(events.names(request)[-1] == "destroy" for request in requests)


OF_WAIT_FOR = "EventWrapper.wait"
"""On Python 3.11 alone, whose `wait_for` makes a task of what it waits for."""


def test_waiting_for_the_next_request_is_no_doing_of_the_last_one() -> None:
    async def main() -> None:
        async with serving(responding(), "hypercorn") as port, customer(port) as someone:
            await someone.get("/")
            await someone.get("/")

    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        asyncio.run(main())
        recorder.min_duration = before
        spans = [span for span in ring.drain(10_000) if isinstance(span, SpanLifetime)]
    requests = [span for span in spans if span.type.name == "Request"]
    assert len(requests) == 2
    below = [span.name for span in spans if span.parent in requests]
    assert [name for name in below if name != OF_WAIT_FOR] == []
    assert not any("TCPServer._i" in str(span.name) for span in spans)
