"""One process of the export benchmark: a loop that makes spans, its figures as a line of JSON.

A busy loop is never idle: each turn does some work, makes the spans that are due by then, and asks
for the next.  Its delay is the time from one turn to the next.  With `--most` it does no other
work, and waits in each turn, as that of a server does.

What is imported, and connected, for the first spans is done before anything is measured.
"""

import argparse
import asyncio
import gc
import json
from time import monotonic, perf_counter, perf_counter_ns, process_time_ns, sleep, thread_time_ns

from .emitters import KINDS, OF_A_TRACE, PATIENCE, Emit, Emitter
from .options import ENGINES
from .variants import set_engine

WORK = range(2000)
"""Summed up in each turn: some 35 µs."""
MOST_AT_ONCE, MOST_IN_A_BURST = 64, 4096
"""Spans of a turn.  A loop that is behind goes on, and makes fewer than it was asked for."""
PAUSE = 0.0005
"""Seconds that a loop waits in each turn that does nothing else.  Without a timer of the loop's:
that would be one more span."""
HOT = 20_000
FIRST = 10 * OF_A_TRACE
SETTLED = 0.3
"""Seconds after which the first spans are sent, if nothing has to be imported for that."""


class Turns:
    """A loop at work."""

    def __init__(self, emit: Emit, rate: float, seconds: float, *, busy: bool = True) -> None:
        self._emit = emit
        self._rate = rate
        self._seconds = seconds
        self._busy = busy
        self.made = 0
        self.delays: list[int] = []

    async def run(self) -> None:
        """Work for as long as it was told."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        began = perf_counter()
        last = perf_counter_ns()

        busy, most = self._busy, MOST_AT_ONCE if self._busy else MOST_IN_A_BURST

        def turn() -> None:
            nonlocal last
            now = perf_counter_ns()
            self.delays.append(now - last)
            last = now
            if busy:
                sum(WORK)
            else:
                sleep(PAUSE)
            passed = perf_counter() - began
            if passed > self._seconds:
                over.set_result(None)
                return
            due = min(int(passed * self._rate) - self.made, most)
            for _ in range(due):
                self._emit()
            self.made += max(0, due)
            loop.call_soon(turn)

        loop.call_soon(turn)
        await over


def cpu_of_a_span(emit: Emit) -> float:
    """The nanoseconds that making a span takes of the loop's own thread."""
    gc.disable()
    before = thread_time_ns()
    for _ in range(HOT):
        emit()
    taken = thread_time_ns() - before
    gc.enable()
    return taken / HOT


def others_at_work(emitter: Emitter, turns: Turns) -> dict[str, float]:
    """How a loop fares whose spans are sent, and what sending them takes."""
    began = monotonic()
    all_before, own_before = process_time_ns(), thread_time_ns()
    asyncio.run(turns.run())
    own = thread_time_ns() - own_before
    emitter.finish()
    others = process_time_ns() - all_before - own
    delays = sorted(turns.delays)
    return {
        "made": FIRST + turns.made,
        "began": began,
        "others": others / max(1, turns.made),
        "p50": delays[len(delays) // 2],
        "p99": delays[len(delays) * 99 // 100],
    }


def settle(emitter: Emitter) -> None:
    """Wait until the first spans have been sent."""
    until = monotonic() + PATIENCE
    while not emitter.has_sent(FIRST) and monotonic() < until:
        sleep(0.05)
    sleep(SETTLED)


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="benchmarks.emit")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("endpoint")
    parser.add_argument("--rate", type=float, help="without it: what a span takes of the thread")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--most", action="store_true", help="do nothing but make spans")
    parser.add_argument("--engine", choices=ENGINES)
    options = parser.parse_args()
    set_engine(options.engine)
    emitter = KINDS[options.kind].make()
    number = FIRST + (int(options.rate * options.seconds) if options.rate else HOT)
    emit = emitter.start(options.endpoint, number)
    for _ in range(FIRST):
        emit()
    settle(emitter)
    # What was made beforehand is not the program's: a collection need not look at it.
    gc.collect()
    gc.freeze()
    if options.rate:
        turns = Turns(emit, options.rate, options.seconds, busy=not options.most)
        figures = others_at_work(emitter, turns)
    else:
        figures = {"made": FIRST + HOT, "own": cpu_of_a_span(emit)}
        emitter.finish()
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
