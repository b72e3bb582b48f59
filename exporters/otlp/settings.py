"""Where OTLP goes and how, for each signal.

The settings, then the signal's own OTEL_EXPORTER_OTLP_TRACES_* or _METRICS_*, then
OTEL_EXPORTER_OTLP_*, as in https://opentelemetry.io/docs/specs/otel/protocol/exporter/, but with
the timeout in seconds, as in OpenTelemetry's SDK for Python.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from whence.report import warn
from whence.sending.exporting import CannotExport
from whence.settings.config import DEFAULT, Settings

HTTP_PROTOBUF = "http/protobuf"
HTTP_JSON = "http/json"
GRPC = "grpc"

DEFAULT_TIMEOUT = 10.0


class Signal(NamedTuple):
    """What is sent: each kind has a path, a method, and variables of its own."""

    word: str
    variable: str
    path: str
    method: str

    def variable_of(self, name: str) -> str:
        """The signal's own variable of a setting."""
        return f"OTEL_EXPORTER_OTLP_{self.variable}_{name}"


_COLLECTOR = "/opentelemetry.proto.collector"
TRACES = Signal("spans", "TRACES", "/v1/traces", f"{_COLLECTOR}.trace.v1.TraceService/Export")
METRICS = Signal(
    "metrics", "METRICS", "/v1/metrics", f"{_COLLECTOR}.metrics.v1.MetricsService/Export"
)

_PROTOCOLS = (HTTP_PROTOBUF, GRPC, HTTP_JSON)
_COMPRESSIONS = ("gzip", "deflate", "none")
_OVER_HTTP = "http://localhost:4318"
_DEFAULT_ENDPOINTS = {GRPC: "http://localhost:4317"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OtlpSettings:
    """All that a transport needs to know."""

    __slots__ = (
        "ca_file",
        "client_certificate",
        "client_key",
        "compression",
        "endpoint",
        "headers",
        "insecure",
        "protocol",
        "signal",
        "timeout",
    )

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], signal: Signal = TRACES
    ) -> None:
        spans_tell = signal is not TRACES and "otlp" in settings.export
        otel = _Variables(environ, signal, told_already=spans_tell)
        self.signal = signal
        told = settings.protocol if _is_explicit(settings, "protocol") else None
        self.protocol = told or otel.one_of("PROTOCOL", _PROTOCOLS)
        self.endpoint = self._endpoint(settings, otel)
        """Of HTTP the URL to post to; of gRPC what the user gave, with a scheme or without."""
        self.headers = otel.headers()
        self.timeout = otel.seconds("TIMEOUT", DEFAULT_TIMEOUT)
        self.compression = otel.one_of("COMPRESSION", _COMPRESSIONS, default="none")
        self.ca_file = otel.text("CERTIFICATE")
        self.client_certificate = otel.text("CLIENT_CERTIFICATE")
        self.client_key = otel.text("CLIENT_KEY")
        self.insecure = otel.one_of("INSECURE", ("true", "false"), default="false") == "true"

    def _endpoint(self, settings: Settings, otel: "_Variables") -> str:
        if _is_explicit(settings, "endpoint") and settings.endpoint is not None:
            base = settings.endpoint
        else:
            own = otel.own("ENDPOINT")
            if own:
                return own
            base = otel.text("ENDPOINT") or _DEFAULT_ENDPOINTS.get(self.protocol, _OVER_HTTP)
        if self.protocol == GRPC:
            return base
        parts = urlsplit(base)
        path = parts.path.rstrip("/").removesuffix(TRACES.path).removesuffix(self.signal.path)
        return parts._replace(path=path + self.signal.path).geturl()

    @property
    def shown(self) -> str:
        """The endpoint as the user reads it: without the path that is added and without secrets."""
        if "://" not in self.endpoint:
            return self.endpoint
        parts = urlsplit(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path.removesuffix(self.signal.path)}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        address = self.endpoint if "://" in self.endpoint else f"//{self.endpoint}"
        return urlsplit(address).hostname in _LOOPBACK


def _is_explicit(settings: Settings, name: str) -> bool:
    """Whether the user told whence: the standard variables are the signals' own to read."""
    origin = settings.origin(name)
    return origin != DEFAULT and not origin.startswith("OTEL_")


class _Variables:
    """The variables of the signal's exporter, each standing before the one of all signals."""

    def __init__(
        self, environ: Mapping[str, str], signal: Signal, told_already: bool = False
    ) -> None:
        """`told_already`: what is wrong with the variables of all signals, another one tells."""
        self._environ = environ
        self._signal = signal
        self._told_already = told_already

    def own(self, name: str) -> str:
        return self._environ.get(self._signal.variable_of(name), "").strip()

    def text(self, name: str) -> str:
        return self.own(name) or self._environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    def _warn(self, name: str, problem: str) -> None:
        if self.own(name) or not self._told_already:
            warn(f"{self._variable(name)}: {problem}")

    def _variable(self, name: str) -> str:
        return self._signal.variable_of(name) if self.own(name) else f"OTEL_EXPORTER_OTLP_{name}"

    def one_of(self, name: str, words: tuple[str, ...], default: str = "") -> str:
        text = self.text(name).lower()
        if text in words:
            return text
        if text:
            self._warn(
                name,
                f"expected one of {', '.join(words)}, not {text!r}; {default or words[0]} is used",
            )
        return default or words[0]

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            seconds = float(text or default)
            if 0 < seconds < float("inf"):
                return seconds
        except ValueError:
            pass
        self._warn(name, f"expected seconds above 0, not {text!r}; {default:g} is used")
        return default

    def headers(self) -> dict[str, str]:
        """`key=value,key=value`, both percent-encoded."""
        found = {}
        for item in self.text("HEADERS").split(","):
            key, equals, value = item.partition("=")
            if equals and key.strip():
                found[unquote(key).strip().lower()] = unquote(value).strip()
            elif item.strip():
                # Not the item itself: it may be a secret.
                self._warn("HEADERS", "expected key=value,...; an item has no =")
        return found


def readable_file(variable: str, path: str, signal: Signal) -> bytes:
    """The content of a file that a variable names.  Raises CannotExport."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CannotExport(
            f"OTEL_EXPORTER_OTLP_{variable}: {path} cannot be read ({error.strerror}); "
            f"no {signal.word} are sent"
        ) from None
