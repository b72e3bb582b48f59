"""The process: receivers, writer and page, put together, and ended in order.

aiohttp serves both ports: it parses in C, streams, is what asyncio programs know, and the demo
needs it in any case.
"""

import asyncio
import gc
import os
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from whence.version import VERSION

from . import api, page, ports
from .guarding import guard
from .live_updates import LiveUpdates
from .receiving import http_receiver
from .receiving.grpc_receiver import GrpcReceiver
from .receiving.intake import Intake
from .storing.database import Database
from .storing.writer import Writer
from .views.asked import BILLION

_READERS = 3
_DECODERS = 2
_SWITCH_INTERVAL = 0.001
"""Seconds for which a thread keeps the interpreter to itself: with Python's own 5 ms the page would
wait for the decoding of spans at each of its steps."""
_SHUTDOWN = 2.0


class Options(NamedTuple):
    """What a dashboard is told."""

    port: int
    http_port: int
    grpc_port: int
    database: Path
    limit: int
    """Bytes."""


class Dashboard:
    """One, from `start` to `stop`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._started = time.time()
        self._database = Database(options.database, options.limit)
        self._runners: list[web.AppRunner] = []
        self._readers = ThreadPoolExecutor(_READERS, "whence-dashboard-reader")
        self._decoders = ThreadPoolExecutor(_DECODERS, "whence-dashboard-decoder")

    async def start(self) -> None:
        """Listen and receive.  Raises NoPort."""
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self._updates = LiveUpdates(asyncio.get_running_loop(), self.about)
        self._writer = Writer(self._database, self._updates.changed)
        self._intake = Intake(self._writer)
        self._grpc = GrpcReceiver(self._intake)
        options = self._options
        # The page first: its port is what other dashboards are found by.
        pages = ports.listen(options.port, "the page")
        http = ports.listen(options.http_port, "OTLP over HTTP")
        self.grpc_port = ports.free(options.grpc_port, "OTLP over gRPC")
        self.port, self.http_port = ports.number_of(pages), ports.number_of(http)
        self._writer.start()
        self._grpc.listen(ports.addresses(self.grpc_port))
        await self._serve(http_receiver.application(self._intake, self._decoders), http)
        await self._serve(self._page(), pages)
        # What is there for good, a hundred modules, is nothing to look through again and again: it
        # takes 30 ms, in which no page is answered.
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Keep what has come, and end."""
        self._updates.close()
        for runner in self._runners:
            await runner.cleanup()
        await asyncio.to_thread(self._grpc.stop)
        await asyncio.to_thread(self._writer.stop)
        self._readers.shutdown()
        self._decoders.shutdown()
        self._database.close()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.port}"

    @property
    def problem(self) -> str | None:
        """What is wrong with the database, in one line."""
        return self._database.trouble or self._database.problem

    def about(self) -> dict[str, Any]:
        """`/api/about`."""
        return {
            "program": "whence-dashboard",
            "version": VERSION,
            "pid": os.getpid(),
            "started": self._started,
            "url": self.url,
            "otlp": {
                "http": f"http://localhost:{self.http_port}",
                "grpc": f"http://localhost:{self.grpc_port}",
            },
            "database": {
                "path": str(self._database.path),
                "size": self._database.size(),
                "limit": self._database.limit,
                "oldest": self._oldest(),
                "problem": self.problem,
            },
            "received": {
                "spans": self._writer.spans,
                "points": self._writer.points,
                "rejected": self._writer.rejected,
                "refused": self._intake.refused,
                "evicted": self._writer.evicted,
            },
        }

    def _oldest(self) -> float | None:
        def ask(connection: sqlite3.Connection) -> float | None:
            row = connection.execute("SELECT arrived FROM traces ORDER BY id LIMIT 1").fetchone()
            return row and row[0] / BILLION  # type: ignore[no-any-return]

        try:
            return self._database.read(ask)
        except sqlite3.Error:
            return None

    def _page(self) -> web.Application:
        app = web.Application(middlewares=[guard])
        page.add_routes(app)
        api.add_routes(app, self._database, self._readers)
        app.router.add_get("/api/about", self._about)
        app.router.add_get("/api/events", self._updates.stream)
        return app

    async def _about(self, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        return api.answer(await loop.run_in_executor(self._readers, self.about))

    async def _serve(self, app: web.Application, sockets: list[Any]) -> None:
        runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=_SHUTDOWN
        )
        await runner.setup()
        self._runners.append(runner)
        for one in sockets:
            await web.SockSite(runner, one).start()
