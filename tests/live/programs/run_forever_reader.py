"""A loop that runs for ever, for a pipe into which nobody writes."""

import asyncio
import os

readable, writable = os.pipe()
loop = asyncio.new_event_loop()


def arrived() -> None:
    os.read(readable, 1)


loop.add_reader(readable, arrived)  # culprit
loop.run_forever()
