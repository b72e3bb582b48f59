"""The states of whence that are compared: how each is entered, and the proof that it was.

Rule: a variant proves after the measurement that it was what its name says. A benchmark of an agent
that did not attach looks splendid.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from whence.engine import RecordedLifetime

RECORDED = {"Task", "Future", "Handle", "TimerHandle"}
CALLBACKS = ("init", "before", "after", "destroy", "promise_resolve")

Proof = Callable[[], None]


class NotProven(Exception):
    """A variant was not in the state that it stands for, so its times mean nothing."""


def patchable() -> dict[tuple[str, str], object]:
    """Return every function and class of asyncio and uvloop, and of their classes, by its place."""
    return dict(_callables())


def changed_places(
    stock: dict[tuple[str, str], object], now: dict[tuple[str, str], object]
) -> list[tuple[str, str]]:
    """Return the places that hold something else than in `stock`, or where `stock` had nothing."""
    owners = {owner for owner, _ in stock}
    gone = [place for place, value in stock.items() if now.get(place) is not value]
    # A patch of an inherited method is an attribute that the class did not have.
    return gone + [place for place in now if place not in stock and place[0] in owners]


def _callables() -> Iterator[tuple[tuple[str, str], object]]:
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in ("asyncio", "_asyncio", "uvloop") and module is not None:
            yield from _callables_of(module)


def _callables_of(module: ModuleType) -> Iterator[tuple[tuple[str, str], object]]:
    for name, value in list(vars(module).items()):
        if isinstance(value, type):
            for attribute, member in list(vars(value).items()):
                if callable(member):
                    yield (f"{module.__name__}.{name}", attribute), member
        if callable(value):
            yield (module.__name__, name), value


def plain() -> Proof:
    """The program alone."""

    def prove() -> None:
        if "whence" in sys.modules:
            raise NotProven("expected a program without whence, but whence was imported")

    return prove


def off() -> Proof:
    """A hook was enabled and disabled again: nothing must be left."""
    stock = patchable()
    import whence

    with whence.create_hook(**_no_ops()):
        installed = changed_places(stock, patchable())

    def prove() -> None:
        if not installed:
            raise NotProven("expected something installed by the first hook, but found nothing")
        left = [".".join(place) for place in changed_places(stock, patchable())]
        if left:
            raise NotProven(f"expected nothing installed, but found changed: {', '.join(left)}")

    return prove


def hooks() -> Proof:
    """One hook with five Python functions that do nothing."""
    import whence

    whence.create_hook(**_no_ops()).enable()

    def prove() -> None:
        seen = dict.fromkeys(CALLBACKS, 0)

        def count(event: str) -> Callable[..., None]:
            def callback(*_: object) -> None:
                seen[event] += 1

            return callback

        with whence.create_hook({event: count(event) for event in CALLBACKS}):
            asyncio.run(_one_of_each())
        missing = [event for event, times in seen.items() if not times]
        if missing:
            raise NotProven(f"expected all five events, but got no {', '.join(missing)}")

    return prove


def recorded() -> Proof:
    """The agent is attached and records everything; nothing is sent."""
    import whence

    whence.attach(export=("none",))

    def prove() -> None:
        from whence.engine import open_lifetimes

        if not whence.attached():
            raise NotProven("expected the agent to be attached, but it is not")
        missing = RECORDED - asyncio.run(_recorded_here(open_lifetimes))
        if missing:
            raise NotProven(
                f"expected lifetimes with their sites, but got no {', '.join(sorted(missing))}"
            )

    return prove


def opentelemetry() -> Proof:
    """Nothing of whence: OpenTelemetry's own instrumentation of asyncio, told to trace what the
    programs do, with its SDK; no span is sent."""
    names = "five_sleeps,storm,talk,serve,get"
    os.environ["OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"] = names
    os.environ["OTEL_PYTHON_ASYNCIO_FUTURE_TRACE_ENABLED"] = "true"
    from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    class Count(SpanProcessor):
        spans = 0

        def on_end(self, span: ReadableSpan) -> None:
            self.spans += 1

    count = Count()
    provider = TracerProvider()
    provider.add_span_processor(count)
    AsyncioInstrumentor().instrument(tracer_provider=provider)

    async def five_sleeps() -> None:
        pass

    async def main() -> None:
        await asyncio.create_task(five_sleeps())

    def prove() -> None:
        before = count.spans
        asyncio.run(main())
        if count.spans == before or "whence" in sys.modules:
            raise NotProven("expected a span of a task, and no whence")

    return prove


def _no_ops() -> dict[str, Callable[..., None]]:
    def init(async_id: int, type: str, trigger_async_id: int, resource: object) -> None:
        pass

    def before(async_id: int) -> None:
        pass

    def after(async_id: int) -> None:
        pass

    def destroy(async_id: int) -> None:
        pass

    def promise_resolve(async_id: int) -> None:
        pass

    functions = (init, before, after, destroy, promise_resolve)
    return dict(zip(CALLBACKS, functions, strict=True))


async def _one_of_each() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await asyncio.create_task(asyncio.sleep(0))
    await future


async def _recorded_here(open_lifetimes: "Mapping[int, RecordedLifetime]") -> set[str]:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(0))
    future = loop.create_future()
    handle = loop.call_soon(future.cancel)
    timer = loop.call_later(3600, future.cancel)
    found = {
        lifetime.type.name
        for lifetime in open_lifetimes.values()
        if lifetime.code is not None and lifetime.code.co_filename == __file__
    }
    handle.cancel()
    timer.cancel()
    await task
    return found


class Variant(NamedTuple):
    """One column of the table."""

    enter: Callable[[], Proof]
    has_engine: bool = True
    needs: str = "whence"
    """The package that it takes."""


# The first one is what the others are compared with.
VARIANTS = {
    "plain": Variant(plain, has_engine=False, needs=""),
    "off": Variant(off),
    "hooks": Variant(hooks),
    "recorded": Variant(recorded),
    "opentelemetry": Variant(
        opentelemetry, has_engine=False, needs="opentelemetry.instrumentation.asyncio"
    ),
}
PLAIN = "plain"


def set_engine(name: str | None) -> None:
    """Choose the engine of this process; it is fixed once whence is imported."""
    if name is not None:
        os.environ["WHENCE_ENGINE"] = name
