"""A callback forks: the turn goes on in both, and the child's loop and hooks work.

In a child asyncio knows of no running loop: what needs one is not called there."""

import asyncio
import os
import sys

import whence

if not hasattr(os, "fork"):
    print("skipped: this system does not fork")
    sys.exit()

heard: list[int] = []
hook = whence.create_hook(init=lambda *_: None, before=heard.append, after=heard.append)


async def main() -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    child = 0

    def fork() -> None:
        nonlocal child
        child = os.fork()
        loop.call_soon(done.set_result, None)

    loop.call_soon(fork)
    await done
    if child:
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222
        assert os.waitstatus_to_exitcode(status) == 0, status
    else:
        later = loop.create_future()
        loop.call_later(0.001, later.set_result, None)
        await later
        os._exit(0)


with hook:
    asyncio.run(main())
assert heard
print("went on")
