"""OTLP over HTTP: one connection, kept alive; one attempt for each request.

The SDK's exporter tries again for up to `timeout`, and takes its jitter from the module `random`,
whose sequence is the program's.
"""

import ssl
import zlib
from base64 import b64encode
from email.utils import parsedate_to_datetime
from gzip import compress
from http.client import HTTPResponse, RemoteDisconnected
from time import monotonic, time
from urllib.parse import SplitResult, unquote, urlsplit

from whence.sending.exporting import CannotExport
from whence.version import VERSION

from ..http_connection import Content, PlainConnection, SecureConnection, left, whole
from .sending import SendError, reason_of
from .settings import OtlpSettings

_MOST_OF_ANSWER = 1 << 20
_STALE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
"""What a request on a kept connection meets when the server had closed it meanwhile."""

_COMPRESS = {
    "gzip": lambda data: compress(data, 1),
    "deflate": zlib.compress,
}
_AGAIN = (429, 502, 503, 504)
_HINTS = {
    401: "OTEL_EXPORTER_OTLP_HEADERS carries credentials",
    403: "OTEL_EXPORTER_OTLP_HEADERS carries credentials",
    404: "the endpoint is the part before {path}",
    415: "OTEL_EXPORTER_OTLP_PROTOCOL names another protocol",
}
_NO_SERVICE = (404, 405)


class HttpTransport:
    """Posts requests to one URL."""

    def __init__(self, otlp: OtlpSettings, content_type: str) -> None:
        """Raises CannotExport if the URL or a certificate is unusable."""
        url = urlsplit(otlp.endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise CannotExport(f"expected an http or https URL for OTLP, not {otlp.shown!r}")
        self._url = url
        self._path = otlp.signal.path
        self._compress = _COMPRESS.get(otlp.compression)
        self._headers = {
            "User-Agent": f"whence/{VERSION}",
            **otlp.headers,
            "Content-Type": content_type,
        }
        if self._compress is not None:
            self._headers["Content-Encoding"] = otlp.compression
        if url.username:
            self._headers.setdefault("Authorization", _basic(url))
        self._tls = _tls_context(otlp) if url.scheme == "https" else None
        self._proxy = None if otlp.is_local else _proxy_of(url)
        self._target = url._replace(scheme="", netloc="", fragment="").geturl() or "/"
        if self._proxy is not None and self._tls is None:
            host = url.netloc.rpartition("@")[2]
            self._target = url._replace(netloc=host, fragment="").geturl()
            if self._proxy.username:
                self._headers["Proxy-Authorization"] = _basic(self._proxy)
        self._connection: PlainConnection | SecureConnection | None = None
        # Imported when a name is first looked up; then a fork may come between.
        import encodings.idna  # noqa: F401

    def send(self, data: Content, timeout: float, left: float | None = None) -> bytes:
        """Post a request and give the answer's body.  Raises SendError, which names `timeout`.

        `left` are the seconds that are left of it."""
        if self._compress is not None:
            data = self._compress(whole(data))
        deadline = monotonic() + (timeout if left is None else left)
        try:
            try:
                return self._post(data, deadline)
            except _STALE:
                if self._connection is None:
                    raise
                self.close()
                return self._post(data, deadline)
        except SendError:
            raise
        except Exception as error:
            self.close()
            raise SendError(reason_of(error, timeout)) from error

    def close(self) -> None:
        """End the connection; the next request makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # In a forked child the descriptor is closed and the parent's connection goes on.
    abandon = close

    def _post(self, data: Content, deadline: float) -> bytes:
        connection, kept = self._connection, self._connection is not None
        if connection is None:
            connection = self._new_connection(left(deadline))
            connection.connect()
        try:
            connection.post(self._target, data, self._headers, deadline)
            response = connection.answer(deadline)
            body = response.read(_MOST_OF_ANSWER)
        except BaseException:
            if not kept:
                connection.close()
            raise
        if response.will_close or not response.isclosed():
            connection.close()
            self._connection = None
        else:
            self._connection = connection
        self._check(response)
        return body

    def _check(self, response: HTTPResponse) -> None:
        content_type = response.getheader("Content-Type", "")
        if 200 <= response.status < 300:
            if content_type.startswith("text/html"):
                raise SendError("what answers there is a web page")
            return
        reason = f"{response.status} {response.reason}".strip()
        if 300 <= response.status < 400:
            reason += f", to {response.getheader('Location', 'nowhere')}"
        raise SendError(
            reason,
            answered=True,
            again=response.status in _AGAIN,
            after=seconds_of(response.getheader("Retry-After", "")),
            hint=_HINTS.get(response.status, "").format(path=self._path),
            no_service=response.status in _NO_SERVICE,
        )

    def _new_connection(self, timeout: float) -> PlainConnection | SecureConnection:
        url, proxy = self._url, self._proxy
        near = proxy or url
        assert near.hostname is not None
        if self._tls is None:
            return PlainConnection(near.hostname, near.port, timeout=timeout)
        made = SecureConnection(near.hostname, near.port, timeout=timeout, context=self._tls)
        if proxy is not None:
            assert url.hostname is not None
            headers = {"Proxy-Authorization": _basic(proxy)} if proxy.username else {}
            made.set_tunnel(url.hostname, url.port, headers)
        return made


def seconds_of(retry_after: str) -> float | None:
    """The header Retry-After: seconds, or a date.  None if it is neither, or is not there."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except (ValueError, OverflowError):
        return None


def _basic(url: SplitResult) -> str:
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()


def _proxy_of(url: SplitResult) -> SplitResult | None:
    """As HTTPS_PROXY, NO_PROXY and the like say."""
    from urllib.request import getproxies, proxy_bypass  # slow, and rarely needed

    assert url.hostname is not None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.hostname):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _tls_context(otlp: OtlpSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=otlp.ca_file or None)
        if not otlp.ca_file:
            _trust_certifi(context)
        if otlp.client_certificate:
            context.load_cert_chain(otlp.client_certificate, otlp.client_key or None)
    except (OSError, ssl.SSLError) as error:
        raise CannotExport(
            f"OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE or _CLIENT_KEY cannot be used "
            f"({error}); no {otlp.signal.word} are sent"
        ) from None
    return context


def _trust_certifi(context: ssl.SSLContext) -> None:
    """Some Pythons know no authorities; OpenTelemetry's exporter trusts those of certifi."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
