"""A streams echo server and three clients, in one process.

Each client says three lines over one connection and hears each of them again.
"""

import asyncio
from functools import partial

CLIENTS = 3
LINES = 3


async def echo(
    gone: "asyncio.Queue[None]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    gone.put_nowait(None)


async def talk(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(LINES):
        line = b"line %d\n" % number
        writer.write(line)
        assert await reader.readline() == line
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    gone: asyncio.Queue[None] = asyncio.Queue()
    server = await asyncio.start_server(partial(echo, gone), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(talk(port))
    for _ in range(CLIENTS):
        await gone.get()
    server.close()


asyncio.run(main())
