"""Makes a span every half millisecond for as long as it is told, ends the agent and says in JSON
how that went.

Arguments: seconds, and how many spans the ring may hold.
"""

import asyncio
import json
import sys
from time import monotonic, thread_time

from whence.engine import ring
from whence.sending import pipeline

SECONDS = float(sys.argv[1])
ring.capacity = int(sys.argv[2])


async def work() -> None:
    await asyncio.sleep(0)


async def main() -> tuple[int, int]:
    until = monotonic() + SECONDS
    made = waited = 0
    while monotonic() < until:
        await asyncio.gather(*(work() for _ in range(10)))
        made += 10
        waited = max(waited, len(ring))
        await asyncio.sleep(0.005)
    return made, waited


made, waited = asyncio.run(main())
busy = thread_time()
before = monotonic()
pipeline.stop()
took = monotonic() - before
counts = pipeline.counts()
said = {name: getattr(counts, name) for name in ("sent", "dropped", "counted", "unsampled")}
print(
    json.dumps(
        {
            **said,
            "tasks": made,
            "finished": ring.pushed + ring.dropped,
            "waited": waited,
            "busy for each": busy / made,
            "end": took,
        }
    )
)
