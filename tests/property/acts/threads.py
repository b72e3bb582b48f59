"""Threads, jobs and loops in threads.  Whoever starts one waits for its end: only one runs."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from acts.futures import hold
from play import Await, Blocking, Body, Place, ProgramError


class OwnThread(threading.Thread):
    """A thread of the program's own class."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        try:
            self._work()
        finally:
            del self._work


THREADS: dict[str, Callable[[Callable[[], None]], threading.Thread]] = {
    "thread": lambda work: threading.Thread(target=work),
    "own class": OwnThread,
    "timer": lambda work: threading.Timer(0, work),
}


@dataclass(frozen=True)
class InThread:
    """A thread; it may have a loop of its own."""

    body: Body = ()
    how: str = "thread"
    loop: bool = False

    def do(self, here: Place) -> None:
        play = here.play
        there = here.start(here.stores.empty(), on_loop=False)
        type = "Timer" if self.how == "timer" else "Thread"

        def work() -> None:
            with play.watch.acting():
                play.watch.begin(there, type)
                if self.loop:
                    play.run_loop(self.body, f"{here.path}.loop", there.stores.copy())
                else:
                    play.run(there, self.body)

        with play.watch.still(), play.watch.expects(here, type):
            thread = THREADS[self.how](work)
            thread.start()
            thread.join()
        play.saw(here, thread)


def job(here: Place, there: Place, body: Body) -> Callable[[], str]:
    """What to submit."""

    def work() -> str:
        with here.play.watch.acting():
            here.play.watch.begin(there, "ExecutorJob")
            here.play.run(there, body)
            return there.path

    return work


class Pool:
    """A thread that begins to work when it is told that nobody else does."""

    def __init__(self) -> None:
        self._alone = threading.Event()
        self.threads = ThreadPoolExecutor(1, initializer=self._alone.wait)

    def work(self) -> None:
        """Let the thread do its job, to the end."""
        self._alone.set()
        self.threads.shutdown(wait=True)


@dataclass(frozen=True)
class Job:
    """run_in_executor; or submit, without a loop."""

    body: Body = ()
    cancel: bool = False

    def do(self, here: Place) -> None:
        play, pool = here.play, Pool()
        there = here.start(here.stores.empty(), on_loop=False)
        work = job(here, there, self.body)
        with play.watch.still():
            if here.on_loop:
                with play.watch.expects(here, "ExecutorJob", "Thread", "Future") as born:
                    future = here.turf.loop.run_in_executor(pool.threads, work)
                hold(here, future, born[-1:], plain=True)
                if self.cancel:
                    here.log(f"cancels: {future.cancel()}")
                del future
            else:
                with play.watch.expects(here, "ExecutorJob", "Thread"):
                    submitted = pool.threads.submit(work)
                if self.cancel:
                    here.log(f"cancels: {submitted.cancel()}")
                del submitted
            pool.work()


@dataclass(frozen=True)
class ToThread(Await):
    """to_thread, in the loop's own pool."""

    body: Body = ()

    async def do_async(self, here: Place) -> None:
        play, pool = here.play, Pool()
        there = here.start(on_loop=False)
        here.turf.loop.set_default_executor(pool.threads)
        calling = asyncio.to_thread(job(here, there, self.body))
        try:
            got = await Blocking(calling, pool.work, play.watch.still())
        except ProgramError as error:
            here.log(f"failed {error!r}")
        else:
            here.log(f"got {got!r}")
