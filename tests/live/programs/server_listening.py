"""A server that is never told to stop."""

import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # culprit
    async with server:
        await server.serve_forever()


asyncio.run(main())
