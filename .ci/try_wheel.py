"""Try an installed whence on this Python: it attaches, and its engine is the one in C.

What `cibuildwheel` runs in a fresh environment for each wheel that it has built.
"""

import os
import subprocess
import sys

PROGRAM = """
import asyncio
import whence
from whence import engine
from whence.testing import record

assert whence.attached(), "expected the .pth file to attach"
with record() as events:
    asyncio.run(asyncio.sleep(0.001))
assert events.names(events.ids("Task")[0])[-1] == "destroy", events
print(engine.NAME)
"""


def main() -> None:
    """Say which engine runs; exit with 1 if it is not the one in C."""
    environment = os.environ | {
        "WHENCE_ATTACH": "1",
        "WHENCE_EXPORT": "none",
        "WHENCE_ENGINE": "c",
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    engine = ran.stdout.strip()
    print(f"{sys.version}: engine {engine}")
    sys.exit(engine != "c")


if __name__ == "__main__":
    main()
