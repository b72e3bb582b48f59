"""Where OTLP goes and how.

The settings, then OTEL_EXPORTER_OTLP_TRACES_*, then OTEL_EXPORTER_OTLP_*, as in
https://opentelemetry.io/docs/specs/otel/protocol/exporter/, but with the timeout in seconds, as in
OpenTelemetry's SDK for Python.
"""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from whence.config import Settings
from whence.exporting import CannotExport
from whence.report import warn

HTTP_PROTOBUF = "http/protobuf"
HTTP_JSON = "http/json"
GRPC = "grpc"

DEFAULT_TIMEOUT = 10.0
TRACES_PATH = "/v1/traces"

_PROTOCOLS = (HTTP_PROTOBUF, GRPC, HTTP_JSON)
_COMPRESSIONS = ("gzip", "deflate", "none")
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
        "timeout",
    )

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        otel = _Variables(environ)
        self.protocol = settings.protocol or otel.one_of("PROTOCOL", _PROTOCOLS)
        self.endpoint = self._endpoint(settings, otel)
        """Of HTTP the URL to post to; of gRPC what the user gave, with a scheme or without."""
        self.headers = otel.headers()
        self.timeout = otel.seconds("TIMEOUT", DEFAULT_TIMEOUT)
        self.compression = otel.one_of("COMPRESSION", _COMPRESSIONS, default="none")
        self.ca_file = otel.text("CERTIFICATE")
        self.client_certificate = otel.text("CLIENT_CERTIFICATE")
        self.client_key = otel.text("CLIENT_KEY")
        self.insecure = otel.text("INSECURE").lower() == "true"

    def _endpoint(self, settings: Settings, otel: "_Variables") -> str:
        if settings.endpoint is not None:
            base = settings.endpoint
        else:
            own = otel.own("ENDPOINT")
            if own:
                return own
            base = otel.text("ENDPOINT")
        if self.protocol == GRPC:
            return base
        parts = urlsplit(base)
        path = parts.path.rstrip("/")
        if not path.endswith(TRACES_PATH):
            path += TRACES_PATH
        return parts._replace(path=path).geturl()

    @property
    def shown(self) -> str:
        """The endpoint as the user reads it: without the path that is added and without secrets."""
        if "://" not in self.endpoint:
            return self.endpoint
        parts = urlsplit(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path.removesuffix(TRACES_PATH)}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        address = self.endpoint if "://" in self.endpoint else f"//{self.endpoint}"
        return urlsplit(address).hostname in _LOOPBACK


class _Variables:
    """The variables of the traces' exporter, each standing before the one of all signals."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def own(self, name: str) -> str:
        return self._environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()

    def text(self, name: str) -> str:
        return self.own(name) or self._environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    def _variable(self, name: str) -> str:
        return (
            f"OTEL_EXPORTER_OTLP_TRACES_{name}" if self.own(name) else f"OTEL_EXPORTER_OTLP_{name}"
        )

    def one_of(self, name: str, words: tuple[str, ...], default: str = "") -> str:
        text = self.text(name).lower()
        if text in words:
            return text
        if text:
            warn(
                f"{self._variable(name)}: expected one of {', '.join(words)}, not {text!r}; "
                f"{default or words[0]} is used"
            )
        return default or words[0]

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            seconds = float(text or default)
            if seconds > 0:
                return seconds
        except ValueError:
            pass
        warn(f"{self._variable(name)}: expected seconds above 0, not {text!r}; {default:g} is used")
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
                warn(f"{self._variable('HEADERS')}: expected key=value,...; an item has no =")
        return found


def readable_file(variable: str, path: str) -> bytes:
    """The content of a file that a variable names.  Raises CannotExport."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CannotExport(
            f"OTEL_EXPORTER_OTLP_{variable}: {path} cannot be read ({error.strerror}); "
            "no spans are sent"
        ) from None
