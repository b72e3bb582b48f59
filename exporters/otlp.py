"""Spans to an OTLP receiver: Jaeger, a Collector, a vendor; over HTTP or gRPC."""

import os
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Protocol

from whence.config import Settings
from whence.engine import SpanLifetime
from whence.exporting import ExportError, SpansRejected, Taken

from .otlp_answers import rejected_in_json, rejected_in_protobuf
from .otlp_json import JsonEncoder
from .otlp_protobuf import SpanEncoder
from .otlp_protobuf import requests as protobuf_requests
from .otlp_settings import GRPC, HTTP_JSON, OtlpSettings
from .sending import SendError, explain
from .spans import Span, SpanMaker, span_maker

MOST_BYTES = 2 << 20
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
        self._encoder = SpanEncoder()
        self._json_encoder = JsonEncoder()

    def start(self, settings: Settings) -> None:
        """Read the settings and the OTEL_* variables.  Raises CannotExport."""
        self._otlp = OtlpSettings(settings, os.environ)
        self.label = f"the OTLP receiver at {self._otlp.shown}"
        self._transport = _transport(self._otlp)
        self._maker: SpanMaker = span_maker(settings)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Send those that are sampled.  One attempt."""
        spans = self._maker.spans_of(batch)
        taken = Taken(0, len(batch) - len(spans))
        rejected, message = 0, ""
        deadline = None if timeout is None else monotonic() + timeout
        for number, request in self._requests(spans):
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

    def stop(self, timeout: float) -> None:
        """End the connection."""
        self._transport.close()

    def abandon(self) -> None:
        """In a forked child."""
        self._transport.abandon()

    def _requests(self, spans: list[Span]) -> Iterable[tuple[int, bytes]]:
        resource = self._maker.resource
        if self._otlp.protocol != HTTP_JSON:
            yield from protobuf_requests(self._encoder, spans, resource, MOST_BYTES)
            return
        for start in range(0, len(spans), _SPANS_IN_JSON):
            some = spans[start : start + _SPANS_IN_JSON]
            yield len(some), self._json_encoder.request(some, resource).encode()

    def _within(self, deadline: float | None) -> float:
        longest = self._otlp.timeout
        return longest if deadline is None else min(longest, deadline - monotonic())

    def _rejected(self, answer: bytes) -> tuple[int, str]:
        if self._otlp.protocol == HTTP_JSON:
            return rejected_in_json(answer)
        return rejected_in_protobuf(answer)


def _transport(otlp: OtlpSettings) -> Transport:
    if otlp.protocol == GRPC:
        from .grpc_transport import GrpcTransport

        return GrpcTransport(otlp)
    from .http_transport import HttpTransport

    json = otlp.protocol == HTTP_JSON
    return HttpTransport(otlp, "application/json" if json else "application/x-protobuf")
