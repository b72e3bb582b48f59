"""Metrics to an OTLP receiver, over HTTP or gRPC."""

import os
from time import monotonic

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from whence.report import warn
from whence.sending.exporting import CannotExport, ExportError
from whence.sending.metering import asked_for
from whence.settings.config import Settings

from ..otlp.exporter import Transport, transport_for
from ..otlp.sending import SendError, explain
from ..otlp.settings import HTTP_JSON, METRICS, TRACES, OtlpSettings
from ..spans import span_maker
from .data import MetricsReader
from .meters import application_has_provider

_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_PREFERENCES = ("cumulative", "delta", "lowmemory")
_FILES = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
_NOTHING = {HTTP_JSON: b'{"resourceMetrics":[]}'}
"""The request without metrics; in protobuf it is no bytes."""


class OtlpMetrics:
    """Sends metrics with OTLP, unless the application has a MeterProvider, which then has them."""

    label = "otlp"

    def start(self, settings: Settings) -> None:
        """Read the settings and the OTEL_* variables.  Raises CannotExport."""
        self._otlp = OtlpSettings(settings, os.environ, METRICS)
        self.label = f"the OTLP receiver at {self._otlp.shown}"
        self._spans_tell = "otlp" in settings.export and not _has_own("ENDPOINT")
        try:
            self._transport: Transport = transport_for(self._otlp)
        except CannotExport as error:
            told = self._spans_tell and not _has_own(*_FILES)
            raise CannotExport("" if told else str(error)) from None
        maker = span_maker(settings)
        self._reader = MetricsReader(maker.resource_now, delta=_wants_delta())
        self._rejections_told = False

    def export(self, timeout: float | None) -> None:
        """Send all metrics as they are now.  One attempt."""
        if application_has_provider():
            return
        within = self._otlp.timeout if timeout is None else min(timeout, self._otlp.timeout)
        deadline = monotonic() + within
        message = encode_metrics(self._reader.read())
        if self._otlp.protocol == HTTP_JSON:
            data = MessageToJson(message, use_integers_for_enums=True, indent=None).encode()
        else:
            data = message.SerializeToString()
        left = deadline - monotonic()
        try:
            if left <= 0:
                raise SendError("no time was left for it at the end of the process")
            self._look_at(self._transport.send(data, within, left))
        except SendError as error:
            raise self._failure(error) from error

    def check(self, timeout: float) -> None:
        """Ask the receiver, with a request that holds no metrics.  Raises ExportError."""
        try:
            self._transport.send(_NOTHING.get(self._otlp.protocol, b""), timeout)
        except SendError as error:
            if error.no_service:
                raise ExportError(f"{self.label} takes no metrics ({error})") from error
            raise ExportError(explain(error, self._otlp)) from error

    def stop(self, timeout: float) -> None:
        """End the connection."""
        self._transport.close()

    def abandon(self) -> None:
        """In a forked child."""
        self._transport.abandon()

    def _failure(self, error: SendError) -> Exception:
        """What went wrong, without a text where the user knows or has not asked."""
        if error.no_service:
            # Jaeger takes traces alone: that is no news to who runs it.
            asked = bool(asked_for(os.environ))
            return CannotExport(f"{self.label} takes no metrics ({error})" if asked else "")
        if not error.answered and self._spans_tell:
            return ExportError("")
        return ExportError(explain(error, self._otlp))

    def _look_at(self, answer: bytes) -> None:
        response = ExportMetricsServiceResponse()
        try:
            if self._otlp.protocol == HTTP_JSON:
                Parse(answer or b"{}", response, ignore_unknown_fields=True)
            else:
                response.ParseFromString(answer)
        except (DecodeError, ParseError, ValueError):
            return
        partial = response.partial_success
        if partial.rejected_data_points and not self._rejections_told:
            self._rejections_told = True
            warn(
                f"{self.label} rejected {partial.rejected_data_points} data points of metrics "
                f"({partial.error_message})"
            )


def _has_own(*names: str) -> bool:
    """Whether spans and metrics differ in this: what is wrong with the one may not be with the
    other."""
    signals = (TRACES, METRICS)
    return any(os.environ.get(signal.variable_of(name)) for signal in signals for name in names)


def _wants_delta() -> bool:
    """All our instruments are observed ones; for these `lowmemory` means cumulative."""
    text = os.environ.get(_TEMPORALITY, "").strip().lower()
    if text and text not in _PREFERENCES:
        warn(
            f"{_TEMPORALITY}: expected one of {', '.join(_PREFERENCES)}, not {text!r}; "
            "cumulative is used"
        )
    return text == "delta"
