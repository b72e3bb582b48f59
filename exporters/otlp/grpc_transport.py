"""OTLP over gRPC: bytes through a stub without a serializer; one attempt for each request."""

from typing import Any
from urllib.parse import urlsplit

import grpc

from whence.version import VERSION

from ..http_connection import Content, whole
from .grpc_threads import stay_unlisted
from .sending import SendError
from .settings import OtlpSettings, Signal, readable_file

_OPTIONS = [
    ("grpc.enable_retries", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.primary_user_agent", f"whence/{VERSION}"),
]
_COMPRESSIONS = {
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
    "none": grpc.Compression.NoCompression,
}
_NOBODY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_AGAIN = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.DATA_LOSS,
)
"""Beside those of nobody, and RESOURCE_EXHAUSTED if the receiver says when it is over:
https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response"""
_DENIED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

_DETAILS = "grpc-status-details-bin"

_abandoned: list[Any] = []
"""Channels of a parent process: ending one in a child would wait for threads that are not there."""


class GrpcTransport:
    """Calls one receiver."""

    def __init__(self, otlp: OtlpSettings) -> None:
        """Raises CannotExport if a certificate is unusable."""
        url = urlsplit(otlp.endpoint) if "://" in otlp.endpoint else None
        self._target = otlp.endpoint if url is None else url.netloc.rpartition("@")[2]
        secure = not otlp.insecure if url is None else url.scheme == "https"
        self._credentials = _credentials(otlp) if secure else None
        self._metadata = tuple(otlp.headers.items())
        self._compression = _COMPRESSIONS[otlp.compression]
        self._signal = otlp.signal
        self._channel: Any = None
        self._call: Any = None

    def send(self, data: Content, timeout: float, left: float | None = None) -> bytes:
        """Call with a request and give the answer.  Raises SendError, which names `timeout`.

        `left` are the seconds that are left of it."""
        if self._channel is None:
            self._connect()
        try:
            answer: bytes = self._call(
                whole(data),
                timeout=timeout if left is None else left,
                metadata=self._metadata,
                compression=self._compression,
            )
        except grpc.RpcError as error:
            if error.code() in _NOBODY:
                # A channel that failed waits longer and longer before it tries again.
                self.close()
            raise _explained(error, timeout, self._signal) from None
        return answer

    def close(self) -> None:
        """End the channel; the next request makes another."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            channel.close()

    def abandon(self) -> None:
        """In a forked child."""
        _abandoned.append(self._channel)
        self._channel = self._call = None

    def _connect(self) -> None:
        stay_unlisted()
        if self._credentials is None:
            self._channel = grpc.insecure_channel(self._target, options=_OPTIONS)
        else:
            self._channel = grpc.secure_channel(self._target, self._credentials, options=_OPTIONS)
        self._call = self._channel.unary_unary(self._signal.method)


def _credentials(otlp: OtlpSettings) -> Any:
    def content(variable: str, path: str) -> bytes | None:
        return readable_file(variable, path, otlp.signal) if path else None

    return grpc.ssl_channel_credentials(
        content("CERTIFICATE", otlp.ca_file),
        content("CLIENT_KEY", otlp.client_key),
        content("CLIENT_CERTIFICATE", otlp.client_certificate),
    )


def _explained(error: Any, timeout: float, signal: Signal) -> SendError:
    code, details = error.code(), " ".join((error.details() or "").split())
    after = _retry_delay(error)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return SendError(f"no answer within {timeout:.3g} s", after=after)
    if code is grpc.StatusCode.UNAVAILABLE:
        reason = "connection refused" if "refused" in details else details[-200:]
        return SendError(reason, after=after)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return SendError(
            f"the gRPC server there takes no {signal.word}", again=False, no_service=True
        )
    hint = "OTEL_EXPORTER_OTLP_HEADERS carries credentials" if code in _DENIED else ""
    again = code in _AGAIN or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None)
    reason = f"{code.name} {details[:200]}".strip()
    return SendError(reason, answered=True, again=again, after=after, hint=hint)


def _retry_delay(error: Any) -> float | None:
    """The seconds of a google.rpc.RetryInfo, if one comes with the error."""
    trailers = dict(error.trailing_metadata() or ())
    if _DETAILS not in trailers:
        return None
    from google.protobuf.message import DecodeError
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    info = RetryInfo()
    try:
        for detail in Status.FromString(trailers[_DETAILS]).details:
            if detail.Unpack(info):
                delay = info.retry_delay
                return max(0.0, float(delay.seconds) + float(delay.nanos) / 1e9)
    except DecodeError:
        pass
    return None
