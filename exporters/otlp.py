"""Spans to an OTLP receiver: Jaeger, a Collector, a vendor; over HTTP or gRPC."""

import os
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Protocol

from opentelemetry.sdk.resources import Resource

from whence.config import Settings
from whence.engine import SpanLifetime, Trace
from whence.exporting import ExportError, SpansRejected, Taken

from .otlp_answers import rejected_in_json, rejected_in_protobuf
from .otlp_json import JsonEncoder
from .otlp_protobuf import Surroundings
from .otlp_settings import GRPC, HTTP_JSON, OtlpSettings
from .otlp_templates import TemplateEncoder
from .sending import SendError, explain
from .spans import Span, SpanMaker, span_maker

MOST_BYTES = 1 << 20
"""Of a request, or so.  Collectors take 4 MiB over gRPC by default."""
_SPANS_IN_JSON = 1000
_NO_SPANS = {HTTP_JSON: b'{"resourceSpans":[]}'}
"""The request without spans; in protobuf it is no bytes.  A receiver answers it as any other:
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response"""


class Transport(Protocol):
    """Takes encoded requests to the receiver."""

    def send(self, data: bytes, timeout: float) -> bytes:
        """One attempt; gives the answer.  Raises SendError."""

    def close(self) -> None:
        """End the connection."""

    def abandon(self) -> None:
        """Let go of the connection in a forked child."""


class OtlpExporter:
    """Sends spans with OTLP.  The receiver is looked for with the first of them."""

    label = "otlp"

    def __init__(self) -> None:
        self._json_encoder = JsonEncoder()
        self._known_resource: Resource | None = None

    def start(self, settings: Settings) -> None:
        """Read the settings and the OTEL_* variables.  Raises CannotExport."""
        self._otlp = OtlpSettings(settings, os.environ)
        self.label = f"the OTLP receiver at {self._otlp.shown}"
        self._transport = transport_for(self._otlp)
        self._maker: SpanMaker = span_maker(settings)
        self._encoder = TemplateEncoder(self._maker, MOST_BYTES)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Send those that are sampled.  One attempt."""
        taken = Taken(0)
        rejected, message = 0, ""
        deadline = None if timeout is None else monotonic() + timeout
        for number, request in self._requests(batch, taken):
            within = self._within(deadline)
            if within <= 0:
                raise ExportError(f"{self.label} was too slow for the end of the process", taken)
            try:
                answer = self._transport.send(request, within)
            except SendError as error:
                raise ExportError(explain(error, self._otlp), taken) from error
            refused, why = self._rejected(answer)
            refused = min(refused, number)
            taken.sent += number - refused
            rejected, message = rejected + refused, why or message
        if rejected:
            raise SpansRejected(f"{self.label} rejected {rejected} spans ({message})", taken)
        return taken

    def check(self, timeout: float) -> None:
        """Ask the receiver, with a request that holds no spans.  Raises ExportError."""
        try:
            self._transport.send(_NO_SPANS.get(self._otlp.protocol, b""), timeout)
        except SendError as error:
            raise ExportError(explain(error, self._otlp)) from error

    def is_sampled(self, trace: Trace) -> bool:
        """Whether the sampler wants a trace."""
        return self._maker.identity_of(trace).sampled

    def stop(self, timeout: float) -> None:
        """End the connection."""
        self._transport.close()

    def abandon(self) -> None:
        """In a forked child."""
        self._transport.abandon()

    def _requests(self, batch: Sequence[SpanLifetime], taken: Taken) -> Iterator[tuple[int, bytes]]:
        """The sampled spans as requests, with how many are in each."""
        if self._otlp.protocol == HTTP_JSON:
            spans = self._maker.spans_of(batch)
            taken.unsampled = len(batch) - len(spans)
            yield from self._requests_in_json(spans)
            return
        runs = self._encoder.runs(batch)
        for number, run in runs:
            taken.unsampled = self._encoder.unsampled
            yield number, self._surroundings().request(run)
        taken.unsampled = self._encoder.unsampled

    def _surroundings(self) -> Surroundings:
        resource = self._maker.resource
        if resource is not self._known_resource:
            self._known_resource, self._known_surroundings = resource, Surroundings(resource)
        return self._known_surroundings

    def _requests_in_json(self, spans: list[Span]) -> Iterator[tuple[int, bytes]]:
        for start in range(0, len(spans), _SPANS_IN_JSON):
            some = spans[start : start + _SPANS_IN_JSON]
            yield len(some), self._json_encoder.request(some, self._maker.resource).encode()

    def _within(self, deadline: float | None) -> float:
        longest = self._otlp.timeout
        return longest if deadline is None else min(longest, deadline - monotonic())

    def _rejected(self, answer: bytes) -> tuple[int, str]:
        if self._otlp.protocol == HTTP_JSON:
            return rejected_in_json(answer)
        return rejected_in_protobuf(answer)


def transport_for(otlp: OtlpSettings) -> Transport:
    """What takes requests where the settings say."""
    if otlp.protocol == GRPC:
        from .grpc_transport import GrpcTransport

        return GrpcTransport(otlp)
    from .http_transport import HttpTransport

    json = otlp.protocol == HTTP_JSON
    return HttpTransport(otlp, "application/json" if json else "application/x-protobuf")
