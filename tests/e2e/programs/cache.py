"""A cache in a redis server, whose address is REDIS: commands, a pipeline, a subscription."""

import asyncio
import os

from redis.asyncio import Redis

NAMES = ("assam", "ceylon", "darjeeling")


async def price(cache: Redis, name: str) -> int:
    known = await cache.get(name)
    if known is None:
        await asyncio.sleep(0.002)
        await cache.set(name, len(name))
        known = await cache.get(name)
    return int(known or 0)


async def stock(cache: Redis) -> list[bool]:
    async with cache.pipeline() as pipeline:
        for name in NAMES:
            pipeline.exists(name)
        return [bool(there) for there in await pipeline.execute()]


async def listen(cache: Redis, listening: asyncio.Event) -> None:
    async with cache.pubsub() as orders:
        await orders.subscribe("orders")
        message = None
        while message is None or message["data"] != b"last":
            message = await orders.get_message(timeout=None)
            listening.set()


async def order(cache: Redis, listening: asyncio.Event) -> None:
    await listening.wait()
    for name in (*NAMES, "last"):
        await cache.publish("orders", name)


async def main() -> None:
    cache = Redis.from_url(os.environ["REDIS"])
    for name in NAMES:
        assert await asyncio.create_task(price(cache, name)) == len(name)
    assert await asyncio.create_task(stock(cache)) == [True] * len(NAMES)
    listening = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(cache, listening))
        group.create_task(order(cache, listening))
    await cache.aclose()


asyncio.run(main())
