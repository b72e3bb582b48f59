"""Round after round of everything leaves as many objects as the round before."""

import json

import pytest

from launching import Launcher

PROGRAM = """
import asyncio
import collections
import concurrent.futures
import gc
import json
import os
import socket
import sys
import threading

import aiohttp
from aiohttp import web

import whence
from whence import engine

if sys.argv[1] == "hooked":
    def listen(*event):
        pass

    names = ("init", "before", "after", "destroy", "promise_resolve")
    whence.create_hook(dict.fromkeys(names, listen)).enable()
else:
    assert whence.attached()

from whence.instrumentation import protocols, transports


class Inline(concurrent.futures.Executor):
    def submit(self, fn, /, *args, **kwargs):
        future = concurrent.futures.Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def fail():
    await asyncio.sleep(0)
    raise ValueError("on purpose")


async def for_ever():
    await asyncio.get_running_loop().create_future()


async def hello(request):
    return web.Response(text="hello")


async def everything():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    for _ in range(3):
        loop.call_soon(int)
        loop.call_soon(divmod, 1, 0)
        loop.call_later(0, int)
        loop.call_later(100, int).cancel()
        loop.create_future()
        asyncio.Future().set_result(1)
        loop.create_task(fail())
        loop.create_task(for_ever())
        await asyncio.gather(fail(), fail(), return_exceptions=True)
        try:
            await asyncio.wait_for(for_ever(), 0.001)
        except TimeoutError:
            pass
        await asyncio.to_thread(int)
        await loop.run_in_executor(Inline(), int)
        await loop.getaddrinfo("127.0.0.1", 80)
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, int)
    loop.add_reader(ours, int)
    loop.remove_reader(ours)
    try:
        loop.add_reader(-1, int)
    except ValueError:
        pass
    loop.add_signal_handler(10, int)
    loop.remove_signal_handler(10)
    ours.close(), theirs.close()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for _ in range(3):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        await reader.read(1)
        writer.close()
        await writer.wait_closed()
    server.close()
    try:
        await loop.create_connection(Echo, *address)
    except OSError:
        pass
    datagrams, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    datagrams.close()
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    await process.communicate(b"x")
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"http://{host}:{port}/") as response:
                await response.text()
    await runner.cleanup()

    class Short(threading.Thread):
        def run(self):
            super().run()

    for thread in (Short(), threading.Thread(target=int), threading.Timer(0, int)):
        thread.start()
        thread.join()
    threading.Thread()
    await asyncio.sleep(0.01)


def round_of_everything():
    asyncio.run(everything())
    loop = asyncio.new_event_loop()
    loop.call_later(10, int)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del loop
    for _ in range(3):
        gc.collect()
        asyncio.run(asyncio.sleep(0))
    engine.ring.clear()
    kinds = collections.Counter(
        f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects()
    )
    ours = {kind: number for kind, number in kinds.items() if kind.startswith("whence")}
    return {
        "ours": ours,
        "objects": sum(kinds.values()),
        "open": sorted(lifetime.type.name for lifetime in engine.open_lifetimes.values()),
        "tables": [
            len(protocols.connections),
            len(transports._connecting),
            # Beside these there may be calls that wait for the next event.
            sum(lifetime.open for lifetime in engine.collected),
            len(transports._patches._undo),
        ],
    }


rounds = [round_of_everything() for _ in range(9)]
print(json.dumps(rounds))
"""

SLACK = 3


@pytest.mark.parametrize("mode", ["attached", "hooked"])
def test_nothing_grows_from_round_to_round(launch: Launcher, mode: str) -> None:
    pytest.importorskip("aiohttp")
    launch.write("program.py", PROGRAM)
    attached = {"WHENCE_ATTACH": "1", "WHENCE_EXPORT": "none"} if mode == "attached" else {}
    finished = launch(launch.python, "-W", "ignore", "program.py", mode, env=attached)
    assert finished.code == 0, finished.err
    rounds = json.loads(finished.out)
    # Caches of the libraries' fill in the first rounds.
    settled = rounds[3:]
    for one in settled:
        assert one["open"] == []
        assert one["tables"] == settled[0]["tables"]
    # The worst block is remembered, so the number is not quite the same each time; what leaks once
    # in a round leaks more often than that.
    leaking = {
        kind: [one["ours"].get(kind, 0) for one in settled]
        for kind, number in settled[-1]["ours"].items()
        if number - settled[0]["ours"].get(kind, 0) > SLACK
    }
    assert leaking == {}
    assert settled[0]["tables"][:3] == [0, 0, 0]
    growth = settled[-1]["objects"] - settled[0]["objects"]
    assert growth < 40, [one["objects"] for one in settled]
