"""Creates and finishes many tasks, and prints in JSON what is left of them.

    python many.py NUMBER [sent]

The first thousands fill what is allowed to fill: caches of the loop and of the interpreter.
"""

import asyncio
import gc
import json
import sys
from time import monotonic, sleep

from whence.engine import open_lifetimes, ring
from whence.sending import pipeline

TASKS = int(sys.argv[1])
FIRST = 10_000
AT_ONCE = 1_000
_PATIENCE = 20.0


async def work() -> None:
    await asyncio.sleep(0)


async def run(number: int) -> int:
    """Create and finish so many; the most spans that waited to be sent meanwhile."""
    waited = 0
    for _ in range(number // AT_ONCE):
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        waited = max(waited, len(ring))
    return waited


def objects() -> int:
    """The objects that there are once all that waited is sent."""
    until = monotonic() + _PATIENCE
    while sys.argv[2:] == ["sent"] and monotonic() < until:
        counts = pipeline.counts()
        if counts.sent + counts.counted == ring.pushed:
            break
        sleep(0.01)
    gc.collect()
    return len(gc.get_objects())


with asyncio.Runner() as runner:
    runner.run(run(FIRST))
    before = objects()
    waited = runner.run(run(TASKS - FIRST))
    left = objects() - before
    lives = len(open_lifetimes)
print(json.dumps({"left": left, "open": lives, "waited": waited, "dropped": ring.dropped}))
