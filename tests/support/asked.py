"""A program under `whence run`, asked over its socket by the verbs of the command line."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launching import Finished, Launcher
from whence.serving.processes import Process

PROGRAM = """
    import asyncio, sys, time

    async def consume(queue):
        while True:
            await queue.get()

    async def hold(lock):
        async with lock:
            await asyncio.Event().wait()

    async def main():
        queue, lock = asyncio.Queue(), asyncio.Lock()
        kept = [asyncio.create_task(consume(queue), name=f"consumer-{n}") for n in range(3)]
        kept += [asyncio.create_task(hold(lock)) for n in range(2)]
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        def command():
            word = sys.stdin.readline().strip()
            if word == "block":
                print("blocking", flush=True)
                time.sleep(600)
            elif word == "grow":
                kept.extend(asyncio.create_task(consume(queue)) for n in range(7))
                print("grown", flush=True)
            elif word == "end":
                done.set_result(None)
        done = loop.create_future()
        loop.add_reader(sys.stdin.fileno(), command)
        print("ready", flush=True)
        await done

    asyncio.run(main())
"""


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true."""
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return found


class Asked:
    """A place for sockets of its own, programs that have theirs there, and who asks them."""

    def __init__(self, launch: Launcher, runtime: Path) -> None:
        self.launch = launch
        self.runtime = runtime
        self.folder = runtime / "whence"
        self.env = {"XDG_RUNTIME_DIR": str(runtime)}

    def start(
        self,
        source: str,
        *options: str,
        name: str = "app.py",
        python: tuple[str, ...] = (),
        env: Mapping[str, str] = {},
    ) -> "subprocess.Popen[str]":
        """A program that prints a line once it is where the test wants it, and has its socket."""
        child = self.begin(source, *options, name=name, python=python, env=env)
        until(lambda: self.socket(child.pid).exists())
        return child

    def begin(
        self,
        source: str,
        *options: str,
        name: str = "app.py",
        python: tuple[str, ...] = (),
        env: Mapping[str, str] = {},
    ) -> "subprocess.Popen[str]":
        """The same, with or without a socket."""
        words = [self.launch.python, *python] if python else []
        run = [*self.launch.whence, "run", "-q", "--export", "none", *options]
        child = self.launch.start(
            *run, *words, self.launch.write(name, source), env={**self.env, **env}
        )
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, child.communicate()[1]
        return child

    def tell(self, child: "subprocess.Popen[str]", word: str) -> str:
        """Give the program a command; the line with which it says that it has done it."""
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{word}\n")
        child.stdin.flush()
        return child.stdout.readline().strip()

    def socket(self, pid: int) -> Path:
        """Where a process has its socket."""
        return self.folder / f"{pid}.sock"

    def process(self, child: "subprocess.Popen[str]") -> Process:
        """The client's view of it."""
        return Process(child.pid, str(self.socket(child.pid)), os.getuid())

    def ask(self, child: "subprocess.Popen[str]", question: str, **details: Any) -> dict[str, Any]:
        """Its answer."""
        return self.process(child).ask(question, **details)

    def whence(self, *words: object, env: Mapping[str, str] = {}) -> Finished:
        """`whence *words`, as a user of this machine."""
        return self.launch(
            *self.launch.whence, *map(str, words), env={**self.env, **env}, cwd=self.launch.folder
        )

    def json(self, *words: object) -> Any:
        """What it prints for programs."""
        return json.loads(self.whence(*words, "--json").out)


@contextmanager
def asking(launch: Launcher) -> Iterator[Asked]:
    """A place that is gone afterwards; short, for the system takes no long name of a socket."""
    runtime = Path(tempfile.mkdtemp(prefix="w"))
    try:
        yield Asked(launch, runtime)
    finally:
        launch.close()
        shutil.rmtree(runtime)
