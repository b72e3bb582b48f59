"""Works for a moment, and ends as it is told: `ending.py HOW`."""

import asyncio
import os
import signal
import sys


async def fail() -> None:
    raise ValueError("out of tea")


async def work() -> None:
    await asyncio.sleep(0.002)


async def main(how: str) -> None:
    await asyncio.create_task(work())
    if how == "exit in a task":
        sys.exit(3)
    if how == "fail":
        await asyncio.create_task(fail())
    if how == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)


asyncio.run(main(sys.argv[1]))

if sys.argv[1] == "exit":
    sys.exit(3)
if sys.argv[1] == "leave at once":
    os._exit(7)
if sys.argv[1] == "wait for a signal":
    print("ready", flush=True)
    signal.pause()
if sys.argv[1] == "say when":
    # On the clock of the whole system, which the test reads as well.
    import time

    if sys.argv[2:] == ["loaded"]:
        # On a busy machine it takes longer than an end may: there would be nothing to tell.
        import whence.exporters.otlp.exporter
        import whence.exporters.otlp.grpc_transport
        import whence.exporters.otlp.http_transport  # noqa: F401
    print(time.monotonic(), flush=True)
