"""A program with OpenTelemetry of its own, in the process of the test, and the spans of both."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, TraceFlags

import whence
from receivers import HttpReceiver
from seen import SeenSpan, spans_of

REMOTE = SpanContext(0xABCDEF, 0x1234, is_remote=True, trace_flags=TraceFlags(1))
"""A span of another process."""

_OTHERS = ("thread BatchProcessor", "thread BatchSpanProcessor", "thread ThreadingMixIn")

Main = Callable[[], Awaitable[object]]


class Application:
    """A program with OpenTelemetry of its own, which runs while the agent is attached."""

    def __init__(self, receiver: HttpReceiver, patch: pytest.MonkeyPatch) -> None:
        self._receiver = receiver
        self._patch = patch
        self.provider: TracerProvider | None = None

    def provide(self, *processors: Any, sampler: sampling.Sampler | None = None) -> None:
        """Set its provider; without processors it sends its spans where ours go."""
        # Without a resource it would look for one, in threads.
        self.provider = TracerProvider(sampler, Resource({}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{self._receiver.url}/v1/traces")
        for processor in processors or (BatchSpanProcessor(exporter),):
            self.provider.add_span_processor(processor)
        self._patch.setattr(trace, "_TRACER_PROVIDER", self.provider)

    def span(self, name: str, **options: Any) -> Any:
        """Start a span of its own, and make it current, for a block."""
        assert self.provider is not None
        return self.provider.get_tracer("app").start_as_current_span(name, **options)

    @contextmanager
    def watched(self, **config: Any) -> Iterator[None]:
        """The agent is attached, for a block."""
        whence.attach(endpoint=self._receiver.url, **{"min_duration": 0, **config})
        try:
            yield
        finally:
            whence.detach()

    def run(self, main: Main, **config: Any) -> list[SeenSpan]:
        """The spans of both, of a run of `main`."""
        with self.watched(**config):
            asyncio.run(main())  # type: ignore[arg-type]
        return self.sent()

    def sent(self) -> list[SeenSpan]:
        """All spans, but those of the threads that export the application's, and receive them."""
        if self.provider is not None:
            self.provider.shutdown()
        spans = spans_of(self._receiver.received.requests)
        return [span for span in spans if not span.name.startswith(_OTHERS)]


def named(spans: list[SeenSpan], name: str) -> SeenSpan:
    """The one of this name."""
    (found,) = [span for span in spans if span.name == name]
    return found


@contextmanager
def attached(context: Context) -> Iterator[None]:
    """A context is current, for a block."""
    token = context_api.attach(context)
    try:
        yield
    finally:
        context_api.detach(token)


def with_span(span: trace.Span) -> Context:
    """A context that holds nothing but a span."""
    return trace.set_span_in_context(span, Context())


def plain(main: Main) -> Main:
    """A function that is defined in a test, by the name of one that is not."""
    main.__qualname__ = "main"
    return main


def short(spans: list[SeenSpan]) -> list[SeenSpan]:
    """With the last part of their names alone: tests define their functions inside."""
    for span in spans:
        if ".<locals>." in span.name:
            span.name = f"{span.name.partition(' ')[0]} {span.name.rpartition('.')[2]}"
    return spans
