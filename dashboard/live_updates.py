"""Tells open pages that something has changed, by server-sent events."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .guarding import safe_headers
from .storing.writer import Change

INTERVAL = 0.5
"""Seconds between two events, at least."""
KEEP_ALIVE = 15.0
"""Seconds after which a silent stream says that it is there."""
MAX_PAGES = 64


class LiveUpdates:
    """The open pages.  In the loop's thread, but for `changed`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hello: Callable[[], Any]) -> None:
        self._loop = loop
        self._hello = hello
        self._pages: set[asyncio.Queue[bytes | None]] = set()
        self._added = Change(0, 0, 0, frozenset())
        self._due: asyncio.TimerHandle | None = None

    def changed(self, change: Change) -> None:
        """Something was written.  For any thread."""
        try:
            self._loop.call_soon_threadsafe(self._add, change)
        except RuntimeError:
            pass  # the loop has ended

    def close(self) -> None:
        """End every stream."""
        for page in self._pages:
            _put(page, None)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`/api/events`."""
        if len(self._pages) >= MAX_PAGES:
            raise web.HTTPServiceUnavailable(text="too many pages are open\n")
        headers = {**safe_headers(), "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        await response.prepare(request)
        page: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)
        self._pages.add(page)
        try:
            await response.write(_event("hello", self._hello()))
            while (data := await self._next(page)) is not None:
                await response.write(data)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._pages.discard(page)
        return response

    async def _next(self, page: "asyncio.Queue[bytes | None]") -> bytes | None:
        try:
            return await asyncio.wait_for(page.get(), KEEP_ALIVE)
        except TimeoutError:
            return b": still there\n\n"

    def _add(self, change: Change) -> None:
        self._added = Change(
            self._added.spans + change.spans,
            self._added.points + change.points,
            self._added.traces + change.traces,
            self._added.services | change.services,
        )
        if self._due is None:
            self._due = self._loop.call_later(INTERVAL, self._tell)

    def _tell(self) -> None:
        self._due = None
        added, self._added = self._added, Change(0, 0, 0, frozenset())
        told = {**added._asdict(), "services": sorted(added.services)}
        for page in self._pages:
            _put(page, _event("changed", told))


def _put(page: "asyncio.Queue[bytes | None]", data: bytes | None) -> None:
    """A page that does not read has missed an event, which it would have read the next with."""
    if page.full():
        page.get_nowait()
    page.put_nowait(data)


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
