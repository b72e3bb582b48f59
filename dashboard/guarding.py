"""Who may ask: programs of this machine, and the page itself.

A web site that the user looks at meanwhile is kept out: the name that it was called by has to be
this machine's (a site may have its own name point here), and no other origin may ask at all.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

HOSTS = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who may not ask, with 403; what is answered says what browsers may do with it."""
    wrong = _what_is_wrong(request)
    if wrong is not None:
        return web.Response(status=403, text=f"{wrong}\n", headers=_HEADERS)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


def safe_headers() -> dict[str, str]:
    """For a response that begins before its handler ends."""
    return dict(_HEADERS)


def _what_is_wrong(request: web.Request) -> str | None:
    port = _port_of(request)
    host = request.headers.get("Host", "")
    if not _is_ours(f"//{host}", port):
        return f"expected the Host localhost:{port}, not {host!r:.100}"
    origin = request.headers.get("Origin")
    if origin is not None and not (origin.startswith("http://") and _is_ours(origin, port)):
        return f"expected a request of http://localhost:{port}, not of {origin!r:.100}"
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return "expected a request of this page, not of another site"
    return None


def _is_ours(url: str, port: int | None) -> bool:
    try:
        parts = urlsplit(url)
        return parts.hostname in HOSTS and (parts.port or 80) == port and parts.username is None
    except ValueError:
        return False


def _port_of(request: web.Request) -> int | None:
    """The one that the connection came to."""
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("sockname")
    return name[1] if name else None
