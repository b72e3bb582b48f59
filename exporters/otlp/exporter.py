"""Spans to an OTLP receiver: Jaeger, a Collector, a vendor; over HTTP or gRPC."""

import os
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Protocol

from opentelemetry.sdk.resources import Resource

from whence.engine import SpanLifetime, Trace
from whence.sending.exporting import ExportError, SpansRejected, Taken
from whence.settings.config import Settings

from ..http_connection import Content
from ..spans import Span, SpanMaker, span_maker
from .answers import rejected_in_json, rejected_in_protobuf
from .json_encoder import JsonEncoder
from .packing import encoder_for
from .protobuf import Surroundings
from .sending import SendError, explain
from .settings import GRPC, HTTP_JSON, OtlpSettings
from .waiting import Parcel, Waiting

MOST_BYTES = 2 << 20
"""Of a request, or so.  Collectors take 4 MiB over gRPC by default."""
_SPANS_IN_JSON = 1000
_NO_SPANS = {HTTP_JSON: b'{"resourceSpans":[]}'}
"""The request without spans; in protobuf it is no bytes.  A receiver answers it as any other:
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response"""


class Transport(Protocol):
    """Takes encoded requests to the receiver."""

    def send(self, data: Content, timeout: float, left: float | None = None) -> bytes:
        """One attempt; gives the answer.  Raises SendError, which names `timeout`, of which there
        may be so much left."""

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
        self._waiting = Waiting()

    def start(self, settings: Settings) -> None:
        """Read the settings and the OTEL_* variables.  Raises CannotExport."""
        self._otlp = OtlpSettings(settings, os.environ)
        self.label = f"the OTLP receiver at {self._otlp.shown}"
        self._transport = transport_for(self._otlp)
        self._maker: SpanMaker = span_maker(settings)
        self._encoder = encoder_for(self._maker, MOST_BYTES)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Send what waits, and then those of the batch that are sampled.

        One attempt.  After the first that fails nothing else is tried, and all that the receiver
        may still take waits."""
        taken = Taken(0)
        attempt = _Attempt(self._otlp.timeout, timeout)
        while attempt.goes_on and (parcel := self._waiting.take(MOST_BYTES)) is not None:
            self._deliver(parcel, attempt, taken, self._waiting.put_back)
        for parcel in self._parcels(batch, taken):
            if attempt.goes_on:
                self._deliver(parcel, attempt, taken, self._waiting.add)
            else:
                self._waiting.add(parcel)
        taken.waiting = self._waiting.spans
        if attempt.problem:
            raise ExportError(attempt.problem, taken, attempt.retry_after)
        if attempt.rejected:
            text = f"{self.label} rejected {attempt.rejected} spans ({attempt.why_rejected})"
            raise SpansRejected(text, taken)
        return taken

    def keep(self, batch: Sequence[SpanLifetime]) -> Taken:
        """Let those that are sampled wait, without an attempt."""
        taken = Taken(0)
        for parcel in self._parcels(batch, taken):
            self._waiting.add(parcel)
        taken.waiting = self._waiting.spans
        return taken

    def _deliver(
        self,
        parcel: Parcel,
        attempt: "_Attempt",
        taken: Taken,
        let_wait: Callable[[Parcel], None],
    ) -> None:
        left = attempt.left()
        if left <= 0:
            attempt.problem = f"{self.label} was too slow for the end of the process"
            let_wait(parcel)
            return
        try:
            answer = self._transport.send(parcel.request(), attempt.timeout, left)
        except SendError as error:
            attempt.problem = explain(error, self._otlp, waits=True)
            attempt.retry_after = error.after
            if error.again:
                let_wait(parcel)
            return
        refused, why = self._rejected(answer)
        refused = min(max(0, refused), parcel.number)
        taken.sent += parcel.number - refused
        if refused:
            attempt.rejected += refused
            attempt.why_rejected = why

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

    def _parcels(self, batch: Sequence[SpanLifetime], taken: Taken) -> Iterator[Parcel]:
        """The sampled spans, encoded; `taken` says how many are not."""
        if self._otlp.protocol == HTTP_JSON:
            spans = self._maker.spans_of(batch)
            taken.unsampled = len(batch) - len(spans)
            yield from self._parcels_in_json(spans)
            return
        for number, run in self._encoder.runs(batch):
            yield Parcel(number, run, self._surroundings())
        taken.unsampled = self._encoder.unsampled

    def _surroundings(self) -> Surroundings:
        resource = self._maker.resource
        if resource is not self._known_resource:
            self._known_resource, self._known_surroundings = resource, Surroundings(resource)
        return self._known_surroundings

    def _parcels_in_json(self, spans: list[Span]) -> Iterator[Parcel]:
        for start in range(0, len(spans), _SPANS_IN_JSON):
            some = spans[start : start + _SPANS_IN_JSON]
            text = self._json_encoder.request(some, self._maker.resource)
            yield Parcel(len(some), text.encode(), None)

    def _rejected(self, answer: bytes) -> tuple[int, str]:
        if self._otlp.protocol == HTTP_JSON:
            return rejected_in_json(answer)
        return rejected_in_protobuf(answer)


class _Attempt:
    """How sending goes, until it fails or time is over."""

    def __init__(self, longest: float, timeout: float | None) -> None:
        """`longest` seconds for one request, `timeout` for all of them."""
        self._longest = longest
        self._deadline = None if timeout is None else monotonic() + timeout
        self.timeout = longest if timeout is None else min(longest, timeout)
        self.problem = ""
        self.retry_after: float | None = None
        self.rejected = 0
        self.why_rejected = ""

    @property
    def goes_on(self) -> bool:
        """Whether nothing has failed so far."""
        return not self.problem

    def left(self) -> float:
        """Seconds for the next request."""
        left = self._longest if self._deadline is None else self._deadline - monotonic()
        return min(self._longest, left)


def transport_for(otlp: OtlpSettings) -> Transport:
    """What takes requests where the settings say."""
    if otlp.protocol == GRPC:
        from .grpc_transport import GrpcTransport

        return GrpcTransport(otlp)
    from .http_transport import HttpTransport

    json = otlp.protocol == HTTP_JSON
    return HttpTransport(otlp, "application/json" if json else "application/x-protobuf")
