"""A program that asks itself over HTTP: an aiohttp server, and a client of aiohttp and of httpx.

It also logs a line in a task that has no span of its own, and one in a thread that has.
"""

import asyncio
import logging

import aiohttp
import httpx
from aiohttp import web
from opentelemetry import trace

log = logging.getLogger("consult")


async def price(name: str) -> int:
    await asyncio.sleep(0.002)
    log.warning("priced")
    return len(name)


async def item(request: web.Request) -> web.Response:
    found = await asyncio.create_task(price(request.match_info["name"]))
    return web.Response(text=str(found))


async def ask_by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        await answer.text()


async def ask_by_httpx(url: str) -> None:
    async with httpx.AsyncClient() as client:
        await client.get(url)


def note() -> None:
    trace.get_current_span().set_attribute("noted", True)
    log.warning("noted")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/items/{name}", item)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/items/tea"
    await asyncio.create_task(ask_by_aiohttp(url))
    await asyncio.create_task(ask_by_httpx(url))
    with trace.get_tracer("consult").start_as_current_span("work"):
        await asyncio.to_thread(note)
    assert runner.server is not None
    while runner.server.connections:  # noqa: ASYNC110 - nobody says when one has gone
        await asyncio.sleep(0)
    await runner.cleanup()


asyncio.run(main())
