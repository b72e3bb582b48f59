"""OTLP over HTTP: protobuf and JSON, plain, gzip or deflate.

The statuses are those of the specification of OTLP: 400 is not sent again, 503 is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from aiohttp import web
from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status

from ..guarding import guard
from ..storing.writer import Busy, CannotWrite, Unreadable
from .decoding import JSON, MAX_BODY, PROTOBUF, SIGNALS, Refused, Signal, message_of, unpacked
from .intake import Intake

_AT_ONCE = 3
"""Requests that are decoded, or wait to be written: what is decoded takes five times its size."""
_RETRY_AFTER = {"Retry-After": "1"}


def application(intake: Intake, executor: Executor) -> web.Application:
    """The receiver, as an application."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[guard])
    room = asyncio.Semaphore(_AT_ONCE)
    for signal in SIGNALS:
        app.router.add_post(signal.path, _handler(signal, intake, executor, room))
    return app


def _handler(
    signal: Signal, intake: Intake, executor: Executor, room: asyncio.Semaphore
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def take(request: web.Request) -> web.Response:
        content_type = request.headers.get("Content-Type", "")
        try:
            body = await request.read()
            async with room:
                rejected = await _keep(signal, intake, executor, request, body)
        except web.HTTPRequestEntityTooLarge:
            intake.refused += 1
            return _failure(content_type, 413, f"expected at most {MAX_BODY} bytes")
        except Refused as error:
            intake.refused += 1
            return _failure(content_type, error.status, str(error))
        except Unreadable as error:
            intake.refused += 1
            return _failure(content_type, 400, str(error))
        except (Busy, CannotWrite) as error:
            return _failure(content_type, 503, str(error), _RETRY_AFTER)
        return _response(content_type, 200, intake.answer(signal, rejected))

    return take


async def _keep(
    signal: Signal, intake: Intake, executor: Executor, request: web.Request, body: bytes
) -> int:
    loop = asyncio.get_running_loop()
    encoding = request.headers.get("Content-Encoding", "")
    content_type = request.headers.get("Content-Type", "")

    def decode() -> tuple[Any, int]:
        plain = unpacked(body, encoding)
        return message_of(signal, plain, content_type), len(plain)

    message, size = await loop.run_in_executor(executor, decode)
    return await asyncio.wrap_future(intake.hand_in(signal, message, size))


def _failure(
    content_type: str, status: int, text: str, headers: dict[str, str] | None = None
) -> web.Response:
    return _response(content_type, status, Status(message=text), headers)


def _response(
    content_type: str, status: int, message: Any, headers: dict[str, str] | None = None
) -> web.Response:
    if content_type.partition(";")[0].strip().lower() == JSON:
        body, kind = MessageToJson(message, indent=None).encode(), JSON
    else:
        body, kind = message.SerializeToString(), PROTOBUF
    return web.Response(status=status, body=body, content_type=kind, headers=headers)
