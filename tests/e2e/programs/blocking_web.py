"""An aiohttp server that prints its port and serves until SIGTERM; one page holds the loop."""

import asyncio
import signal
import time

from aiohttp import web


def render() -> str:
    time.sleep(0.25)  # the template
    return "a page"


async def page(request: web.Request) -> web.Response:
    return web.Response(text=render())


async def quick(request: web.Request) -> web.Response:
    return web.Response(text="quick")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/pages/{name}", page)
    app.router.add_get("/quick", quick)
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
