"""A client keeps its connection, and the server waits for the next request."""

import asyncio
from contextlib import suppress

served: list[asyncio.Task[None]] = []


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    served.append(asyncio.current_task())  # type: ignore[arg-type]
    while await reader.readline():  # culprit
        writer.write(b"ok\n")
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    await reader.readline()
    server.close()
    with suppress(ConnectionError):
        await asyncio.gather(*served)


asyncio.run(main())
