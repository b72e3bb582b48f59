"""An aiohttp server that prints its port and serves until SIGTERM.

What its handlers do: wait for a timer, fail, and do three things at once, one of them in a thread.
"""

import asyncio
import signal
import time

from aiohttp import web


async def price(name: str) -> int:
    await asyncio.sleep(0.002)
    return len(name)


def stock(name: str) -> int:
    time.sleep(0.002)
    return len(name)


async def item(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    async with asyncio.TaskGroup() as group:
        group.create_task(price(name))
        group.create_task(price(name))
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, stock, name)
    return web.Response(text=name)


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(0.002)
    return web.Response(text="slow")


async def broken(request: web.Request) -> web.Response:
    raise ValueError("out of tea")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/items/{name}", item)
    app.router.add_get("/slow", slow)
    app.router.add_get("/broken", broken)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(runner.addresses[0][1], flush=True)
    await stopped.wait()
    await runner.cleanup()


asyncio.run(main())
