"""The reply to a request that is in a table, and never comes."""

import asyncio

requests: dict[int, asyncio.Future[str]] = {}


async def request(number: int) -> str:
    requests[number] = asyncio.get_running_loop().create_future()
    return await requests[number]  # culprit


async def main() -> None:
    await request(7)


asyncio.run(main())
