"""Opens the shop, lets the customers in, and closes it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from .bank import Bank
from .catalogue import Catalogue
from .dispatch import Dispatch
from .ledger import Ledger
from .pages import Pages
from .prices import Market

_CUSTOMERS = Path(__file__).with_name("customers.py")


class NoAddress(Exception):
    """The shop cannot be where it was told to be."""


async def run(port: int, seconds: float | None, customers: int) -> None:
    """Be open until SIGINT, SIGTERM or the end of that time; raises NoAddress.

    With customers, the time is theirs: they are served to the end of it."""
    closing = asyncio.Event()
    _close_on_signals(closing)
    with TemporaryDirectory(prefix="shop-") as folder:
        async with _open_shop(Path(folder), port) as address:
            print(f"shop: open at {address}", flush=True)
            if customers:
                await _serve_customers(address, customers, seconds, closing)
            else:
                await _wait(closing, seconds)
    print("shop: closed", flush=True)


@asynccontextmanager
async def _open_shop(folder: Path, port: int) -> AsyncIterator[str]:
    catalogue = await asyncio.to_thread(Catalogue, folder / "catalogue.sqlite")
    dispatch = Dispatch()
    market = Market(catalogue)
    ledger = Ledger()
    app = web.Application()
    app.add_routes(Pages(catalogue, Bank(), dispatch, ledger).routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    worker = asyncio.create_task(dispatch.pack_orders())
    try:
        await _listen(runner, port)
        market.open()
        ledger.open()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()
        await market.close()
        worker.cancel()
        await asyncio.wait([worker])


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise NoAddress(f"expected a free port, not {port} ({reason})") from None


async def _serve_customers(
    address: str, number: int, seconds: float | None, closing: asyncio.Event
) -> None:
    command = [sys.executable, str(_CUSTOMERS), address, str(number)]
    if seconds is not None:
        command.append(str(seconds))
    process = await asyncio.create_subprocess_exec(*command)
    leaving = asyncio.create_task(process.wait())
    told = asyncio.create_task(closing.wait())
    await asyncio.wait([leaving, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not leaving.done():
        with suppress(ProcessLookupError):
            process.terminate()
        await leaving


async def _wait(closing: asyncio.Event, seconds: float | None) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), seconds)


def _close_on_signals(closing: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, closing.set)
