"""A chat over websockets: what one guest says, all of them hear; server and guests together."""

import asyncio

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve

GUESTS = 3
WORDS = ("hello", "there")

_here: set[ServerConnection] = set()


async def record(words: str | bytes) -> None:
    await asyncio.sleep(0.002)


async def host(guest: ServerConnection) -> None:
    _here.add(guest)
    async for words in guest:
        await asyncio.create_task(record(words))
        broadcast(_here, words)
    _here.discard(guest)


async def talk(port: int, everybody: asyncio.Barrier) -> None:
    async with connect(f"ws://127.0.0.1:{port}/") as connection:
        await everybody.wait()
        for word in WORDS:
            await connection.send(word)
        for _ in range(GUESTS * len(WORDS)):
            assert await connection.recv() in WORDS
        await everybody.wait()


async def main() -> None:
    async with serve(host, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        everybody = asyncio.Barrier(GUESTS)
        await asyncio.gather(*(talk(port, everybody) for _ in range(GUESTS)))


asyncio.run(main())
