"""The ways to make spans that the export benchmark compares.

All make the same: traces of ten spans, a root and nine children of it that end before it does,
with as many attributes as whence's spans have.
"""

import os
from collections.abc import Callable
from itertools import repeat
from typing import Any, Protocol

OF_A_TRACE = 10
PATIENCE = 10.0
"""Seconds in which what is made must be sent."""
_BATCH, _QUEUE, _DELAY_MS = 8192, 65_536, 250
"""Whence's own, for the SDK: with its defaults it drops nearly all."""

Emit = Callable[[], None]
"""Makes one span, in the thread of the loop."""


class Emitter(Protocol):
    """Makes spans, and has them sent."""

    def start(self, endpoint: str, number: int) -> Emit:
        """Prepare to make so many at the most."""

    def has_sent(self, number: int) -> bool:
        """Whether so many were sent; True if that is not known."""

    def finish(self) -> None:
        """Send all that there is."""


class Nothing:
    """Makes no spans: what the others are compared with."""

    def start(self, endpoint: str, number: int) -> Emit:
        """Something to take, as where there is something to hand over."""
        nothings = repeat(None)

        def emit() -> None:
            next(nothings)

        return emit

    def has_sent(self, number: int) -> bool:
        """There are none."""
        return True

    def finish(self) -> None:
        """Nothing to send."""


class Live:
    """A resource of whence's for each span: it is created and destroyed in the engine."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol

    def start(self, endpoint: str, number: int) -> Emit:
        """Attach."""
        self._attach(endpoint)
        return _resources()

    def _attach(self, endpoint: str) -> None:
        # Spans alone, as from the SDK.
        os.environ["OTEL_METRICS_EXPORTER"] = "none"
        import whence

        whence.attach(endpoint=endpoint, protocol=self._protocol, min_duration=0, quiet=True)

    def has_sent(self, number: int) -> bool:
        """As the agent counts them."""
        from whence.sending import pipeline

        return pipeline.counts().sent >= number

    def finish(self) -> None:
        """Stop sending, as at the end of a process, with more time."""
        from whence.sending import pipeline

        pipeline.stop(PATIENCE)


class HandedOver(Live):
    """Lifetimes that were made before, handed over as the engine does when they end."""

    def start(self, endpoint: str, number: int) -> Emit:
        """Make them all, then attach."""
        from whence.engine import recorder, ring

        capacity, recorder.min_duration = ring.capacity, 0
        recorder.on, ring.capacity = True, number + OF_A_TRACE
        emit = _resources()
        for _ in range(number + OF_A_TRACE):
            emit()
        ended = iter(ring.drain(number))
        ring.clear()
        ring.capacity = capacity
        self._attach(endpoint)
        push = ring.push

        def hand_over() -> None:
            push(next(ended))

        return hand_over


def _resources() -> Emit:
    from whence.engine import create, end, local
    from whence.engine.resource_types import TASK

    state, resource = local.state, object()
    # What is made is of no task's doing: each root begins a trace.
    top = state.current
    root: Any = None
    left = 0

    def emit() -> None:
        nonlocal root, left
        if not left:
            root = create(state, TASK, resource, top)
            root.name, left = "main", OF_A_TRACE
        left -= 1
        if left:
            child = create(state, TASK, resource, root)
            child.name = "work"  # type: ignore[attr-defined]
            end(state, child)
        else:
            end(state, root)

    return emit


class Sdk:
    """OpenTelemetry's SDK: a span of its own, its batch processor, its exporter for HTTP."""

    def start(self, endpoint: str, number: int) -> Emit:
        """Make a provider that nobody else knows."""
        from opentelemetry.context import Context
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import set_span_in_context

        self._processor = BatchSpanProcessor(
            OTLPSpanExporter(f"{endpoint}/v1/traces"),
            max_queue_size=_QUEUE,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_DELAY_MS,
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        tracer = provider.get_tracer("benchmark")
        nothing = Context()
        root: Any = None
        above = nothing
        left = 0

        def emit() -> None:
            nonlocal root, above, left
            if not left:
                root = tracer.start_span("task main", nothing, attributes=_ATTRIBUTES)
                above, left = set_span_in_context(root, nothing), OF_A_TRACE
            left -= 1
            if left:
                tracer.start_span("task work", above, attributes=_ATTRIBUTES).end()
            else:
                root.end()

        return emit

    def has_sent(self, number: int) -> bool:
        """It imports all that it needs at once."""
        return True

    def finish(self) -> None:
        """Shut it down, which sends the rest."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


_ATTRIBUTES: dict[str, Any] = {
    "whence.type": "Task",
    "whence.async_id": 100_000,
    "whence.trigger_id": 99_999,
    "whence.execution_id": 99_999,
    "whence.outcome": "done",
    "whence.run_time": 0.001,
    "whence.ready_time": 0.0001,
    "whence.wait_time": 0.0,
    "whence.steps": 2,
    "thread.id": 140_000_000_000_000,
    "code.file.path": __file__,
    "code.line.number": 100,
    "code.function.name": "_resources.<locals>.emit",
}


class Kind:
    """A row of the table."""

    def __init__(self, make: Callable[[], Emitter], protocol: str = "http") -> None:
        self.make = make
        self.protocol = protocol


NOTHING, SDK, WHENCE, HANDED_OVER = "nothing", "SDK, http", "whence", "handed over"
KINDS = {
    NOTHING: Kind(Nothing),
    f"{HANDED_OVER}, http": Kind(lambda: HandedOver("http/protobuf")),
    f"{HANDED_OVER}, grpc": Kind(lambda: HandedOver("grpc"), "grpc"),
    f"{WHENCE}, http": Kind(lambda: Live("http/protobuf")),
    f"{WHENCE}, grpc": Kind(lambda: Live("grpc"), "grpc"),
    SDK: Kind(Sdk),
}
