"""aiohttp's server and client on uvloop."""

import asyncio

import pytest
from uvloops import run_on_uvloop

import whence
from whence.testing import Events

pytest.importorskip("uvloop")
aiohttp = pytest.importorskip("aiohttp")

from aiohttp import web  # noqa: E402

REQUESTS = 3


async def requests_over_one_connection(handled: list[int]) -> None:
    async def handle(request: web.Request) -> web.Response:
        handled.append(whence.execution_async_id())
        await asyncio.sleep(0)
        assert whence.execution_async_id() == handled[-1]
        return web.Response(text=f"hello {request.match_info['name']}")

    app = web.Application()
    app.router.add_get("/{name}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/whence"
    async with aiohttp.ClientSession() as session:
        for _ in range(REQUESTS):
            async with session.get(url) as response:
                assert await response.text() == "hello whence"
    await runner.cleanup()


def kinds(events: Events, async_id: int) -> list[str]:
    return [events.type_of(i) for i in events.chain(async_id)[:-1]]


def test_each_request_leads_back_to_its_connection_and_its_server() -> None:
    handled: list[int] = []
    events = run_on_uvloop(lambda: requests_over_one_connection(handled))
    assert len(set(handled)) == REQUESTS
    for request in handled:
        chain = kinds(events, request)
        assert chain[0] == "Request"
        assert chain[-4:] == ["Task", "Transport", "Server", "Task"]
        names = events.names(request)
        assert (names[0], names[-1]) == ("init", "destroy")
        assert names.count("before") == names.count("after")


def test_both_ends_of_the_connection_live_until_it_is_lost() -> None:
    events = run_on_uvloop(lambda: requests_over_one_connection([]))
    (server,) = events.ids("Server")
    ends = events.ids("Transport")
    assert len(ends) == 2
    assert sorted(events.type_of(events.trigger_of(i)) for i in ends) == ["Server", "Task"]
    for async_id in (server, *ends):
        assert events.names(async_id).count("destroy") == 1
    for event in ends:
        assert events.names(event)[-1] == "destroy"


def test_every_event_is_in_its_place() -> None:
    events = run_on_uvloop(lambda: requests_over_one_connection([]))
    stack: list[int] = []
    for event in events:
        if event[0] == "before":
            stack.append(event[1])
        elif event[0] == "after":
            assert stack.pop() == event[1]
    assert stack == []
    assert len(events.ids()) == len(set(events.ids()))
    for async_id in events.ids():
        assert events.names(async_id)[0] == "init"
        assert events.names(async_id).count("destroy") <= 1
