"""A program with spans of its own, which configures OpenTelemetry and attaches the agent itself.

    own_spans.py before | during | after

is when it sets its provider: before the agent is attached, while its loop runs, or after.
"""

import asyncio
import sys

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import whence

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

tracer = trace.get_tracer("shop")


def configure() -> None:
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


async def query() -> None:
    with tracer.start_as_current_span("query"):
        await asyncio.sleep(0.002)


def stock() -> None:
    with tracer.start_as_current_span("stock"):
        pass


async def sell() -> None:
    with tracer.start_as_current_span("sell"):
        async with asyncio.TaskGroup() as group:
            group.create_task(query())
            group.create_task(query())
        await asyncio.to_thread(stock)
    await asyncio.create_task(query())


async def answer() -> None:
    """As a consumer of a queue does, for whom another process has left its span."""
    token = context.attach(extract({"traceparent": CALLER}))
    await asyncio.create_task(query())
    context.detach(token)


async def main() -> None:
    if when == "during":
        configure()
    await asyncio.create_task(sell())
    await asyncio.create_task(answer())


when = sys.argv[1]
if when == "before":
    configure()
whence.attach()
if when == "after":
    configure()
asyncio.run(main())
