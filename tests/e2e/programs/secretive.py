"""A program full of secrets, each with the word "hush" in it: in what it is given, asks for, passes
on, is called with, waits for, fails with, and keeps.
"""

import asyncio
import contextvars
import logging
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import aiohttp
import uvicorn
from aiohttp import web
from fastapi import FastAPI, Request
from websockets.asyncio.client import connect

logging.disable()

_SECRET = contextvars.ContextVar("secret", default="hush-default")


async def keep(secret: str) -> int:
    kept = secret * 2
    await asyncio.sleep(0.002)
    return len(kept)


def store(secret: str, *, where: str = "hush-default-argument") -> int:
    time.sleep(0.002)
    return len(secret + where)


def ring(bell: asyncio.Event, secret: str) -> None:
    bell.set()


def lose(secret: str) -> None:
    raise KeyError(secret, "hush-job-message")


async def fail(secret: str) -> None:
    await asyncio.sleep(0.002)
    error = ValueError(f"{secret} is wrong")
    error.add_note("hush-note")
    raise error from RuntimeError("hush-cause")


async def answer(request: web.Request) -> web.Response:
    await keep(request.match_info["name"])
    return web.Response(text="hush-body", headers={"x-secret": "hush-answer"})


async def refuse(request: web.Request) -> web.Response:
    return web.Response(status=503, reason="hush-reason")


async def break_down(request: web.Request) -> web.Response:
    raise LookupError(request.query["token"])


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("hush-protocol",))
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"hush {message.data}")
    return socket


api = FastAPI()


@api.get("/people/{name}")
async def person(name: str, token: str) -> str:
    return name + token


@api.post("/vault/{path:path}")
def open_vault(path: str, request: Request) -> None:
    raise PermissionError(f"hush-vault {path} {request.headers}")


async def visit(port: int, paths: tuple[str, ...]) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    headers = {"authorization": "Bearer hush-token", "x-hush-header": "hush-value"}
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, cookie_jar=jar
    ) as session:
        for path in paths:
            for method in ("GET", "POST", "HUSHMETHOD"):
                url, body = f"http://127.0.0.1:{port}{path}", "hush-payload"
                async with session.request(method, url, data=body) as response:
                    await response.read()


async def serve_pages() -> None:
    app = web.Application()
    app.router.add_get("/people/{name}", answer)
    app.router.add_get("/refused", refuse)
    app.router.add_get("/broken", break_down)
    app.router.add_get("/talk/{name}", talk)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await visit(
        port,
        ("/people/hush-path?q=hush-query", "/hush/nowhere", "/refused", "/broken?token=hush-bad"),
    )
    async with connect(f"ws://127.0.0.1:{port}/talk/hush-room?hush=1") as room:
        await room.send("hush-message")
        await room.recv()
    await runner.cleanup()


async def serve_api() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(api, log_config=None, http="h11"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        paths = ("/people/hush-name?token=hush-query", "/vault/hush/path", "/hush")
        try:
            await visit(port, paths)
        finally:
            server.should_exit = True
            await serving


async def use_sockets() -> None:
    with tempfile.TemporaryDirectory(prefix="hush-folder") as folder:
        path = f"{folder}/hush.socket"

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        async with await asyncio.start_unix_server(greet, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hush-line\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
    try:
        await asyncio.open_connection("hush-host.invalid", 1)
    except OSError:
        pass


async def use_processes() -> None:
    command = [sys.executable, "-S", "-c", "pass", "hush-process-argument"]
    process = await asyncio.create_subprocess_exec(*command, env={"TOKEN": "hush-child"})
    await process.wait()
    process = await asyncio.create_subprocess_shell("true hush-shell-argument")
    await process.wait()


async def use_threads() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(store, "hush-job", where="hush-keyword")
    await loop.run_in_executor(None, partial(store, "hush-partial"))
    await loop.run_in_executor(None, lambda: store("hush-lambda"))
    thread = threading.Thread(target=store, args=("hush-argument",), name="hush-thread")
    thread.start()
    thread.join()


async def wait_for_it() -> None:
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()
    loop.call_later(0.002, partial(store, "hush-timer"))
    loop.call_later(0.004, ring, rung, "hush-callback")
    await rung.wait()
    _SECRET.set("hush-context")
    await keep(_SECRET.get())


async def block() -> None:
    secret = "hush-local"
    time.sleep(0.2 if secret == "hush-local" else 0)  # noqa: ASYNC251


WORK: tuple[Callable[[], Coroutine[Any, Any, Any]], ...] = (
    *(serve_pages, serve_api, use_sockets, use_processes, use_threads, wait_for_it, block),
    partial(keep, "hush-argument"),
)
FAILING: tuple[Callable[[], Coroutine[Any, Any, Any]], ...] = (
    partial(fail, "hush-exception"),
    partial(asyncio.to_thread, lose, "hush-lost"),
)


async def main() -> None:
    assert sys.argv[1] == "--password=hush-command-line"
    assert os.environ["TOKEN"] == "hush-environment"
    for work in (*WORK, *FAILING):
        task = asyncio.create_task(work(), name="hush-task")
        await asyncio.wait([task])
        assert (task.exception() is not None) == (work in FAILING), task


asyncio.run(main())
