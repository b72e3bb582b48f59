"""Tasks that start something and end at once; what they started goes on for long.

So does the task of a connection, which belongs to no other task.
"""

import asyncio
from collections.abc import Coroutine

_long: set["asyncio.Task[None]"] = set()


def start(coroutine: Coroutine[None, None, None]) -> None:
    _long.add(asyncio.create_task(coroutine))


async def last() -> None:
    await asyncio.sleep(0.1)


async def start_at_once() -> None:
    start(last())


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    start(last())
    writer.close()


async def main() -> None:
    await asyncio.gather(start_at_once(), start_at_once())
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await asyncio.wait(set(_long))
    server.close()


asyncio.run(main())
