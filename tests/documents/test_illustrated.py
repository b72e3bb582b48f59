"""The examples of "async_hooks in node.js, illustrated", in asyncio's terms."""

import asyncio
import itertools
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import whence
from telling import run_followed, turns
from whence import (
    AsyncHook,
    AsyncResource,
    Trace,
    create_hook,
    execution_async_id,
    on_trace,
    trigger_async_id,
)

HELLO = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello qts"


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """http.createServer(function (req, res) { res.end('hello qts') })."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HELLO)
    await writer.drain()
    writer.close()


async def get(server: asyncio.Server) -> bytes:
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def serve_one_request() -> bytes:
    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    answer = await get(server)
    server.close()
    await turns(5)
    return answer


def test_a_hook_of_four_callbacks() -> None:
    """The gist: init, before, after and destroy, given as an object."""
    seen: list[str] = []
    hooks: dict[str, Any] = {
        "init": lambda async_id, type, trigger_id, resource: seen.append("init"),
        "before": lambda async_id: seen.append("before"),
        "after": lambda async_id: seen.append("after"),
        "destroy": lambda async_id: seen.append("destroy"),
    }
    async_hook = create_hook(hooks).enable()
    resource = AsyncResource("GIST")
    resource.run_in_async_scope(int)
    resource.emit_destroy()
    async_hook.disable()
    assert seen == ["init", "before", "after", "destroy"]


def test_the_resources_of_a_get_request(tmp_path: Path) -> None:
    """fs.writeSync(1, `${type} \\n`) in init, while a server answers."""
    with (tmp_path / "types").open("wb") as file:

        def init(async_id: int, type: str, trigger_id: int, resource: object) -> None:
            os.write(file.fileno(), f"{type} \n".encode())

        with create_hook(init=init):
            assert asyncio.run(serve_one_request()) == HELLO
    written = set((tmp_path / "types").read_text().split())
    assert written >= {"Server", "Transport", "Reader", "Task", "Future", "Handle"}


class Span(NamedTuple):
    type: str
    trigger_id: int
    start: int
    end: int


class OnAsyncHook:
    """The article's on-async-hook: start time in init, end time in destroy, by trigger id."""

    def __init__(self) -> None:
        self.clock = itertools.count()
        self.started: dict[int, tuple[str, int, int]] = {}
        self.spans: dict[int, Span] = {}
        self.hook: AsyncHook = create_hook(init=self.init, destroy=self.destroy)

    def init(self, async_id: int, type: str, trigger_id: int, resource: object) -> None:
        self.started[async_id] = type, trigger_id, next(self.clock)

    def destroy(self, async_id: int) -> None:
        type, trigger_id, start = self.started.pop(async_id)
        self.spans[async_id] = Span(type, trigger_id, start, next(self.clock))

    def by_trigger(self) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = defaultdict(list)
        for async_id, span in self.spans.items():
            groups[span.trigger_id].append(async_id)
        return groups


def test_a_trace_with_spans_grouped_by_their_trigger() -> None:
    """It "creates a trace when async_hooks calls their init callback, and groups resources based on
    their triggerId ... start and end time, which it then adds during init and removes on
    destroy"."""
    trace = OnAsyncHook()
    with trace.hook:
        assert asyncio.run(serve_one_request()) == HELLO
    assert trace.started == {}
    assert all(span.start < span.end for span in trace.spans.values())
    (server,) = (i for i, span in trace.spans.items() if span.type == "Server")
    groups = trace.by_trigger()
    accepted = [i for i in groups[server] if trace.spans[i].type == "Transport"]
    assert len(accepted) == 1
    below_the_connection = {trace.spans[i].type for i in groups[accepted[0]]}
    assert "Task" in below_the_connection

    def root_of(async_id: int) -> int:
        while async_id in trace.spans:
            async_id = trace.spans[async_id].trigger_id
        return async_id

    assert {root_of(async_id) for async_id in trace.spans} == {1}


def test_the_emitters_trace_of_a_server_that_says_hello() -> None:
    """on-async-hook itself, which whence has: "creates a trace", "groups resources based on their
    triggerId", with start and end time; and with each trace whole, when it is finished."""
    traces: list[Trace] = []
    whence.attach(export="none", min_duration=0)
    try:
        with on_trace(traces.append):
            assert asyncio.run(serve_one_request()) == HELLO
    finally:
        whence.detach()
    by_root = {trace.root.name: trace for trace in traces}
    assert by_root.keys() == {"task serve_one_request", "server", "accept", "task hello"}
    assert all(trace.is_complete for trace in traces)
    main = by_root["task serve_one_request"].root
    assert [span.name for span in main.children] == ["connect"]
    # A connection serves many requests, so each of its tasks is a trace of its own.
    accepted, hello = by_root["accept"].root, by_root["task hello"].root
    assert hello.trigger_async_id == accepted.async_id
    assert accepted.trigger_async_id == by_root["server"].root.async_id
    for trace in traces:
        for span in trace.root.walk():
            assert span.start <= span.end
            assert span.run + span.ready + span.wait == pytest.approx(span.duration, abs=1e-6)
            assert all(child.parent is span for child in span.children)
            assert all(span.start <= child.start for child in span.children)


def test_a_resource_of_ones_own_with_the_embedder_api() -> None:
    """new AsyncResource('UTPNative') round a library of sockets over UDP."""
    printed: list[tuple[str, object]] = []
    types: list[str] = []

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data, address)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        resource = AsyncResource("UTPNative")
        created_by = execution_async_id()
        received = asyncio.Event()

        class Socket(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: Any) -> None:
                resource.run_in_async_scope(self.on_data, data)

            def on_data(self, data: bytes) -> None:
                printed.append(("resourceId", resource.async_id() == execution_async_id()))
                trigger = resource.trigger_async_id()
                printed.append(("triggerAsyncId", trigger == trigger_async_id() == created_by))
                printed.append(("this is my data", data))
                received.set()

        server, _ = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
        address = server.get_extra_info("sockname")
        client, _ = await loop.create_datagram_endpoint(Socket, remote_addr=address)
        client.sendto(b"hello qts")
        await received.wait()
        client.close()
        server.close()
        resource.emit_destroy()
        await turns()

    with create_hook(init=lambda i, type, trigger, resource: types.append(type)):
        run_followed(main())
    assert printed == [
        ("resourceId", True),
        ("triggerAsyncId", True),
        ("this is my data", b"hello qts"),
    ]
    assert "UTPNative" in types
