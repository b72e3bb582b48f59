"""The files of the page.  What is not among them by name is not there, so no path leads outside."""

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
_BINARY = (".woff2",)


def add_routes(app: web.Application) -> None:
    """`/` is the page, `/static/...` what it is made of."""
    app.router.add_get("/", _index)
    app.router.add_get("/static/{name:.+}", _file)


def files() -> dict[str, Path]:
    """Name, with slashes -> file."""
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in STATIC.rglob("*")
        if path.suffix in _TYPES and path.is_file() and not path.is_symlink()
    }


async def _index(request: web.Request) -> web.Response:
    return _answer(request, "index.html")


async def _file(request: web.Request) -> web.Response:
    return _answer(request, request.match_info["name"])


def _answer(request: web.Request, name: str) -> web.Response:
    path = files().get(name)
    if path is None:
        raise web.HTTPNotFound(text="there is no such file\n")
    about = path.stat()
    etag = f"{about.st_mtime_ns:x}-{about.st_size:x}"
    headers = {"Cache-Control": "no-cache", "ETag": f'"{etag}"'}
    if any(known.value == etag for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    kind = _TYPES[path.suffix]
    charset = None if path.suffix in _BINARY else "utf-8"
    return web.Response(body=path.read_bytes(), content_type=kind, charset=charset, headers=headers)
