"""What applications see of their server, and what it logs of them: as without whence."""

import pytest
from undisturbed import Undisturbed

_PROGRAM = """
import asyncio, inspect, logging, socket, sys

logging.basicConfig(stream=sys.stdout, level=logging.ERROR, format="%(name)s %(message)s")


async def look(scope, receive, send):
    for each in (receive, send):
        print(type(each).__name__, each.__name__, each.__qualname__, inspect.ismethod(each))
        print(inspect.iscoroutinefunction(each), inspect.signature(each), type(each.__self__))
    print(asyncio.current_task().get_coro().__qualname__)
    print(sorted(scope), "whence" in str(scope))


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket" or scope["path"] == "/broken":
        raise ValueError("on purpose")
    if scope["path"] == "/look":
        await look(scope, receive, send)
    try:
        await send({"type": "nonsense"})
    except Exception as error:
        print(type(error).__name__, error)
    if scope["path"] != "/silent":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


async def ask(port, path, *headers):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", "host: localhost", *(headers or ("connection: close",))]
    writer.write("\\r\\n".join([*lines, "", ""]).encode())
    answer = await reader.read()
    print(path, [line for line in answer.decode().splitlines() if "date:" not in line.lower()])
    writer.close()


UPGRADE = (
    "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def be_visited(port):
    for path in ("/look", "/broken", "/silent"):
        await ask(port, path)
    await ask(port, "/room", *UPGRADE)
"""

_UVICORN = """
import uvicorn

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(application, http="%s", ws="%s", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await be_visited(port)
        server.should_exit = True
        await serving

asyncio.run(main())
"""

_HYPERCORN = """
import hypercorn.asyncio, hypercorn.config

async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("hypercorn")
    stop = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)
    )
    await be_visited(port)
    stop.set()
    await serving

asyncio.run(main())
"""

_STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def deep(request):
    raise LookupError("in a thread")

async def item(request):
    raise ValueError("on purpose")

application = Starlette(routes=[Route("/broken", item), Route("/silent", deep)])
"""


@pytest.mark.parametrize(("http", "ws"), [("h11", "websockets-sansio"), ("httptools", "wsproto")])
def test_an_application_of_uvicorn(undisturbed: Undisturbed, http: str, ws: str) -> None:
    undisturbed.check(
        _PROGRAM + _UVICORN % (http, ws),
        "method send RequestResponseCycle.send True",
        "in application",
        "ValueError: on purpose",
        "without starting response",
    )


def test_an_application_of_hypercorn(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        _PROGRAM + _HYPERCORN, "HTTPStream.app_send True", "in application", "on purpose"
    )


def test_an_application_of_starlette(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        _PROGRAM + _STARLETTE + _UVICORN % ("h11", "websockets-sansio"),
        *("in item", "ValueError: on purpose", "in deep", "LookupError: in a thread"),
    )
