"""An application with OpenTelemetry of its own: resource, sampler and ids, and one span.

Its sampler leaves out what is called `task unwanted`.  Its own spans go to stdout.
"""

import asyncio
import itertools
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult


class Counting(IdGenerator):
    """Ids that show whose they are: 1, 2, 3 and so on after a prefix."""

    def __init__(self) -> None:
        self._next = itertools.count(1).__next__

    def generate_span_id(self) -> int:
        return 0xABC << 48 | self._next()

    def generate_trace_id(self) -> int:
        return 0xABC << 96 | self._next()


class Wanted(Sampler):
    """Samples all but one name, and says so."""

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any
    ) -> SamplingResult:
        if name == "task unwanted":
            return SamplingResult(Decision.DROP)
        return ALWAYS_ON.should_sample(
            parent_context, trace_id, name, attributes={"sampled.by": "the application"}
        )

    def get_description(self) -> str:
        return "Wanted"


async def wanted() -> None:
    await asyncio.sleep(0.002)


async def unwanted() -> None:
    await asyncio.sleep(0.002)


provider = TracerProvider(
    resource=Resource({"service.name": "theirs", "shop.branch": "Lisbon"}),
    sampler=Wanted(),
    id_generator=Counting(),
)
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda s: s.name)))
trace.set_tracer_provider(provider)
with trace.get_tracer("app").start_as_current_span("a span of their own"):
    pass
asyncio.run(wanted())
asyncio.run(unwanted())
