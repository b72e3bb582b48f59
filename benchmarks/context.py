"""What it costs that the application's spans and ours are one tree: `python -m benchmarks.context`.

Nanoseconds of the program's own thread, as ratios to the same process without whence; each state in
a process of its own, interleaved, medians of the rounds.

- `plain`: OpenTelemetry's SDK with a provider, no whence.
- `recorded`: whence alone; the program never imports OpenTelemetry.
- `both`: the two together, with spans in one tree.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import thread_time_ns
from typing import Any

ROUNDS = 5
REPETITIONS = 5
STATES = ("plain", "recorded", "both")
NOBODY = "http://127.0.0.1:9"
"""The discard port: what is sent there is refused at once."""

Measures = dict[str, float]


def least(units: int, run: Callable[[], object]) -> float:
    """Nanoseconds of a unit, of the best of some repetitions."""
    best = float("inf")
    for _ in range(REPETITIONS):
        began = thread_time_ns()
        run()
        best = min(best, thread_time_ns() - began)
    return best / units


async def five_sleeps() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def tasks(number: int) -> float:
    """A task that never touches OpenTelemetry."""
    best = float("inf")
    for _ in range(REPETITIONS):
        began = thread_time_ns()
        for task in [asyncio.create_task(five_sleeps()) for _ in range(number)]:
            await task
        best = min(best, thread_time_ns() - began)
    return best / number


async def first_reads(number: int, read: Callable[[], object]) -> float:
    """What a task that reads costs more than one that does not."""

    async def reading() -> None:
        read()

    async def not_reading() -> None:
        pass

    best = {reading: float("inf"), not_reading: float("inf")}
    for _ in range(REPETITIONS):
        for work in best:
            began = thread_time_ns()
            for task in [asyncio.create_task(work()) for _ in range(number)]:
                await task
            best[work] = min(best[work], thread_time_ns() - began)
    return (best[reading] - best[not_reading]) / number


async def with_opentelemetry(found: Measures) -> None:
    from opentelemetry import context, trace

    tracer = trace.get_tracer("benchmark")
    found["first get_current() of a task"] = await first_reads(2000, context.get_current)
    found["first current ids of a task"] = await first_reads(
        2000, lambda: trace.get_current_span().get_span_context()
    )
    times = range(20_000)
    context.get_current()
    found["get_current() again"] = least(len(times), lambda: [context.get_current() for _ in times])

    def attach() -> None:
        foreign = context.Context({"key": 1})
        for _ in times:
            context.detach(context.attach(foreign))

    found["attach() and detach()"] = least(len(times), attach)

    def span() -> None:
        for _ in range(1000):
            with tracer.start_as_current_span("span"):
                pass

    found["a span of the application"] = least(1000, span)
    with tracer.start_as_current_span("around"):
        found["a task in a span of the application"] = await tasks(2000)


def configure() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    # It exports nothing: only what the program's thread does is measured.
    trace.set_tracer_provider(TracerProvider(resource=Resource({})))


async def measure(state: str) -> Measures:
    found = {"a task that never touches it": await tasks(2000)}
    if state != "recorded":
        await with_opentelemetry(found)
    return found


def run_one(state: str) -> None:
    """Measure in this process, and print it."""
    if state != "recorded":
        configure()
    if state != "plain":
        import whence

        whence.attach(endpoint=NOBODY, quiet=True)
    found = asyncio.run(measure(state))
    if state == "both":
        prove()
    print(json.dumps(found))


def prove() -> None:
    """An agent whose spans are never seen would make a splendid row."""
    from opentelemetry import trace

    async def current() -> Any:
        return trace.get_current_span().get_span_context()

    if not asyncio.run(current()).is_valid:
        raise SystemExit("expected a task to have a span of ours, but it has none")


def main() -> None:
    if sys.argv[1:]:
        run_one(sys.argv[1])
        return
    rounds: dict[str, list[Measures]] = {state: [] for state in STATES}
    for _ in range(ROUNDS):
        for state in STATES:
            command = [sys.executable, "-m", __spec__.name, state]
            ran = subprocess.run(command, check=True, capture_output=True)
            rounds[state].append(json.loads(ran.stdout))
    print(f"{'ns':38}" + "".join(f"{state:>18}" for state in STATES))
    for what in rounds["both"][0]:
        print(f"{what:38}" + "".join(f"{cell(rounds, state, what):>18}" for state in STATES))
    never = "a task that never touches it"
    ratio = ratios(rounds, "both", never, to="recorded")
    print(f"\n{never}, `both` to `recorded`: {ratio:.2f}")


def cell(rounds: dict[str, list[Measures]], state: str, what: str) -> str:
    if what not in rounds[state][0]:
        return ""
    time = f"{median(one[what] for one in rounds[state]):,.0f}"
    return time if state == "plain" else f"{time}  {ratios(rounds, state, what):5.2f}"


def ratios(rounds: dict[str, list[Measures]], state: str, what: str, *, to: str = "plain") -> float:
    return median(
        one[what] / other[what] for one, other in zip(rounds[state], rounds[to], strict=True)
    )


if __name__ == "__main__":
    main()
