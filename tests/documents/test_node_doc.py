"""The examples of Node's documentation of async_hooks, in its order, in asyncio's terms.

What its output shows is compared as a whole; ids are named, since other tests have used some.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import whence
from launching import Launcher
from telling import run_followed, told, turns
from whence import (
    AsyncHook,
    AsyncResource,
    create_hook,
    execution_async_id,
    execution_async_resource,
    trigger_async_id,
)
from whence.testing import record

# -- Overview ------------------------------------------------------------------------------------


def test_overview_of_the_api(launch: Launcher) -> None:
    program = """
import whence

# Return the ID of the current execution context.
eid = whence.execution_async_id()
# Return the ID of the handle responsible for triggering the callback of the current scope.
tid = whence.trigger_async_id()

def init(async_id, type, trigger_async_id, resource): print("init", type, trigger_async_id)
def before(async_id): print("before")
def after(async_id): print("after")
def destroy(async_id): print("destroy")
def promise_resolve(async_id): print("promise_resolve")

# Create a new AsyncHook instance. All of these callbacks are optional.
async_hook = whence.create_hook(
    init=init, before=before, after=after, destroy=destroy, promise_resolve=promise_resolve
)
whence.AsyncResource("not yet")
# Allow callbacks of this instance to call. This is not an implicit action after running the
# constructor, and must be explicitly run to begin executing callbacks.
async_hook.enable()
resource = whence.AsyncResource("seen")
resource.run_in_async_scope(int)
resource.emit_destroy()
# Disable listening for new asynchronous events.
async_hook.disable()
whence.AsyncResource("no more")
print(eid, tid)
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 0, finished
    assert finished.out.splitlines() == ["init seen 1", "before", "after", "destroy", "1 0"]


# -- createHook(callbacks) -----------------------------------------------------------------------


def test_create_hook_with_init_and_destroy_alone() -> None:
    seen: list[str] = []
    callbacks: dict[str, Any] = {
        "init": lambda async_id, type, trigger_async_id, resource: seen.append("init"),
        "destroy": lambda async_id: seen.append("destroy"),
    }
    with create_hook(callbacks):
        AsyncResource("X").emit_destroy()
    assert seen == ["init", "destroy"]


def test_callbacks_are_inherited() -> None:
    seen: list[str] = []

    class MyAsyncCallbacks:
        def init(self, async_id: int, type: str, trigger: int, resource: object) -> None:
            seen.append("init")

        def destroy(self, async_id: int) -> None:
            seen.append("destroy")

    class MyAddedCallbacks(MyAsyncCallbacks):
        def before(self, async_id: int) -> None:
            seen.append("before")

        def after(self, async_id: int) -> None:
            seen.append("after")

    with create_hook(MyAddedCallbacks()):
        resource = AsyncResource("X")
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    assert seen == ["init", "before", "after", "destroy"]


@pytest.mark.parametrize("event", ["init", "before", "after", "destroy", "promise_resolve"])
def test_callbacks_must_not_be_async_functions(event: str) -> None:
    async def asynchronous(*_: object) -> None: ...

    with pytest.raises(TypeError, match=event):
        create_hook({event: asynchronous})


def test_error_handling_prints_the_stack_and_exits(launch: Launcher) -> None:
    """It says: "the application will print the stack trace and exit ... all 'uncaughtException'
    listeners are removed ... The 'exit' callbacks will still be called"."""
    program = """
import atexit, sys, whence

sys.excepthook = lambda *_: print("uncaughtException listener")
atexit.register(print, "exit callback")

def oops(*_):
    raise RuntimeError("oops")

whence.create_hook(init=oops).enable()
whence.AsyncResource("X")
print("not reached")
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 1
    assert finished.out == "exit callback\n"
    assert "Traceback (most recent call last):" in finished.err
    assert "in oops" in finished.err
    assert finished.err.rstrip().endswith("RuntimeError: oops")


def test_printing_synchronously_in_callbacks_calls_no_callback(tmp_path: Path) -> None:
    """debug(): writeFileSync('log.out', ..., { flag: 'a' })."""
    log = tmp_path / "log.out"

    def debug(*args: object) -> None:
        with log.open("a") as file:
            print(*args, file=file)

    with create_hook(init=lambda async_id, type, *_: debug("init", type)):
        asyncio.run(turns(1))
    assert log.read_text().count("init Task\n") >= 1


def test_asynchronous_logging_that_skips_what_it_caused_itself() -> None:
    """It says: "keep track of what caused the asynchronous operation ... The logging should then be
    skipped when it was the logging itself that caused the AsyncHook callback to be called"."""
    printed: list[str] = []
    caused_by_logging: set[int] = set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        logging = False

        def init(async_id: int, type: str, trigger: int, resource: object) -> None:
            nonlocal logging
            if logging or trigger in caused_by_logging:
                caused_by_logging.add(async_id)
                return
            logging = True
            loop.call_soon(printed.append, f"init {type}")
            logging = False

        with create_hook(init=init):
            AsyncResource("X")
            loop.call_soon(int)
            await turns()

    run_followed(main())
    assert printed == ["init X", "init Handle"]
    assert len(caused_by_logging) == 2


# -- Class: AsyncHook ----------------------------------------------------------------------------


def test_enabled_immediately_after_creation() -> None:
    seen: list[str] = []
    hook = create_hook(init=lambda async_id, type, *_: seen.append(type)).enable()
    assert isinstance(hook, AsyncHook)
    AsyncResource("X")
    assert hook.disable() is hook
    AsyncResource("Y")
    assert seen == ["X"]


def test_a_resource_may_be_closed_before_its_callback_is_called() -> None:
    """require('node:net').createServer().listen(function() { this.close(); });
    // OR
    clearTimeout(setTimeout(() => {}, 10));"""

    async def main() -> tuple[list[str], list[str]]:
        with record() as events:
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            server.close()
            asyncio.get_running_loop().call_later(0.010, int).cancel()
            await turns(5)
        (server_id,), timer_id = events.ids("Server"), events.ids("TimerHandle")[-1]
        return events.names(server_id), events.names(timer_id)

    assert run_followed(main()) == (["init", "destroy"], ["init", "destroy"])


def test_type_collisions_are_possible_and_are_two_resources() -> None:
    """It says: "It is possible to have type name collisions"."""
    with record() as events:
        AsyncResource("Task")
        asyncio.run(turns(1))
    tasks = events.ids("Task")
    assert len(tasks) >= 2
    assert len(set(tasks)) == len(tasks)


def test_trigger_async_id_says_why_a_connection_exists() -> None:
    """TCPSERVERWRAP(5): trigger: 1 execution: 1
    TCPWRAP(7): trigger: 5 execution: 0"""
    written: list[str] = []
    names: dict[int, str] = {}

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        if type in ("Server", "Transport"):
            names[async_id] = type
            eid = execution_async_id()
            written.append(f"{type}: trigger: {names.get(trigger, trigger)} execution: {eid}")

    async def main() -> int:
        with create_hook(init=init):
            server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() == b""
            writer.close()
            server.close()
            await turns(5)
        return execution_async_id()

    creator = run_followed(main())
    assert written[0] == f"Server: trigger: {creator} execution: {creator}"
    # The other one is the client's, which the document's nc has in a process of its own.
    client, accepted = sorted(written[1:])
    assert client.startswith(f"Transport: trigger: {creator} execution: ")
    assert accepted.startswith("Transport: trigger: Server execution: ")


def test_the_asynchronous_context_example() -> None:
    """Its output, with a Handle for the TickObject and a TimerHandle for the Timeout."""
    written: list[str] = []
    names: dict[int, str] = {}
    indent = 0

    def name(async_id: int) -> str:
        return names.get(async_id, str(async_id))

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        if type not in ("Server", "Handle", "TimerHandle") or trigger not in names:
            return  # what asyncio makes for itself
        names[async_id] = type
        eid = execution_async_id()
        written.append(f"{' ' * indent}{type}: trigger: {name(trigger)} execution: {name(eid)}")

    def before(async_id: int) -> None:
        nonlocal indent
        if async_id in names and names[async_id] != "main":
            written.append(f"{' ' * indent}before:  {name(async_id)}")
            indent += 2

    def after(async_id: int) -> None:
        nonlocal indent
        if async_id in names and names[async_id] != "main":
            indent -= 2
            written.append(f"{' ' * indent}after:   {name(async_id)}")

    def destroy(async_id: int) -> None:
        if async_id in names and names[async_id] != "main":
            written.append(f"{' ' * indent}destroy: {name(async_id)}")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        names[execution_async_id()] = "main"

        def log() -> None:
            written.append(f"{' ' * indent}>>> {name(execution_async_id())}")
            done.set_result(None)

        def listening() -> None:
            # Let's wait 10ms before logging the server started.
            loop.call_later(0.010, log)

        with create_hook(init=init, before=before, after=after, destroy=destroy):
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            loop.call_soon(listening)
            await done
            server.close()

    run_followed(main())
    assert written == [
        "Server: trigger: main execution: main",
        "Handle: trigger: main execution: main",
        "before:  Handle",
        "  TimerHandle: trigger: Handle execution: Handle",
        "after:   Handle",
        "destroy: Handle",
        "before:  TimerHandle",
        "  >>> TimerHandle",
        "after:   TimerHandle",
        "destroy: TimerHandle",
        "destroy: Server",
    ]


def test_before_is_called_any_number_of_times() -> None:
    """It says: "0 times if the asynchronous operation was cancelled ... Persistent asynchronous
    resources like a TCP server will typically call the before callback multiple times"."""

    async def main() -> dict[str, int]:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        with record() as events:
            cancelled = loop.call_later(60, int)
            loop.call_soon(int)
            loop.add_reader(reading, os.read, reading, 1)
            timer, callback, reader = events.ids()
            cancelled.cancel()
            for _ in range(3):
                os.write(writing, b"x")
                await turns(3)
            loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)
        named = {"cancelled": timer, "callback": callback, "reader": reader}
        return {name: events.names(i).count("before") for name, i in named.items()}

    assert run_followed(main()) == {"cancelled": 0, "callback": 1, "reader": 3}


def test_after_runs_when_the_exception_has_been_dealt_with() -> None:
    """It says: "If an uncaught exception occurs during execution of the callback, then after will
    run after the 'uncaughtException' event is emitted"."""
    log: list[str] = []

    def fail() -> None:
        raise LookupError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: log.append("uncaughtException"))
        with create_hook(after=lambda i: log.append("after")):
            loop.call_soon(fail)
            await asyncio.sleep(0)
            log.append("end")

    run_followed(main())
    assert log[log.index("uncaughtException") :][:2] == ["uncaughtException", "after"]


def test_the_example_of_promise_resolve() -> None:
    """new Promise((resolve) => resolve(true)).then((a) => {});

    init for PROMISE with id 5, trigger id: 1
      promise resolve 5      # corresponds to resolve(true)
    init for PROMISE with id 6, trigger id: 5  # the Promise returned by then()
      before 6               # the then() callback is entered
      promise resolve 6      # the then() callback resolves the promise by returning
      after 6

    In asyncio a done callback is a Handle, which resolves nothing; a destroy comes at once."""

    async def main() -> list[str]:
        with record() as events:
            promise = asyncio.get_running_loop().create_future()
            promise.set_result(True)
            promise.add_done_callback(lambda a: None)
            await turns()
        five, six = events.ids()[:2]
        return told(events.of(five, six), five=five, six=six, main=execution_async_id())

    assert run_followed(main()) == [
        "init five Future by main",
        "promise_resolve five",
        "destroy five",
        "init six Handle by five",
        "before six",
        "after six",
        "destroy six",
    ]


# -- executionAsyncResource() --------------------------------------------------------------------


def test_the_executing_resource_at_the_top_and_in_a_callback(launch: Launcher) -> None:
    """console.log(executionAsyncId(), executionAsyncResource());  // 1 {}
    open(..., () => { console.log(executionAsyncId(), executionAsyncResource()); });  // 7 FSReqWrap
    """
    program = """
import asyncio, whence
print(whence.execution_async_id(), vars(whence.execution_async_resource()))

def opened():
    resource = whence.execution_async_resource()
    print(whence.execution_async_id() > 1, type(resource).__name__)

async def main():
    asyncio.get_running_loop().call_soon(opened)
    await asyncio.to_thread(opened)

with whence.create_hook(init=lambda *_: None):
    asyncio.run(main())
"""
    finished = launch(launch.python, "-c", program)
    assert finished.code == 0, finished
    first, *others = finished.out.splitlines()
    assert first == "1 {}"
    assert sorted(line.split()[0] for line in others) == ["True", "True"]
    assert any(line == "True Handle" for line in others)


def test_continuation_local_storage_without_a_tracking_map() -> None:
    """The http server that answers with the state of its request, 100 ms later."""
    sym = "state_of_this_test"  # Private symbol to avoid pollution

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        cr = execution_async_resource()
        if hasattr(cr, sym):
            setattr(resource, sym, getattr(cr, sym))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        url = (await reader.readline()).decode().split()[1]
        setattr(execution_async_resource(), sym, {"state": url})

        def respond() -> None:
            body = json.dumps(getattr(execution_async_resource(), sym))
            writer.write(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())
            writer.close()

        asyncio.get_running_loop().call_later(0.010, respond)

    async def get(address: Any, url: str) -> Any:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"GET {url} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    async def main() -> list[Any]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        answers = await asyncio.gather(*(get(address, url) for url in ("/a", "/b", "/c")))
        server.close()
        return answers

    with create_hook(init=init):
        assert asyncio.run(main()) == [{"state": "/a"}, {"state": "/b"}, {"state": "/c"}]


# -- executionAsyncId() and triggerAsyncId() -----------------------------------------------------


def test_execution_is_about_when_and_trigger_about_why() -> None:
    """The server whose connections run in their own scope, triggered by the server."""
    seen: dict[str, tuple[int, int]] = {}

    def ids() -> tuple[int, int]:
        return execution_async_id(), trigger_async_id()

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            seen["connection"] = ids()
            transport.close()

    async def main() -> tuple[Any, int]:
        loop = asyncio.get_running_loop()
        with record() as events:
            server = await loop.create_server(Connection, "127.0.0.1", 0)
            loop.call_soon(lambda: seen.update(listening=ids()))
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address)
            await turns(5)
            writer.close()
            server.close()
            await turns(5)
        return events, execution_async_id()

    events, main_id = run_followed(main())
    (server_id,) = events.ids("Server")
    connection, why = seen["connection"]
    assert events.type_of(connection) == "Transport"
    assert why == events.trigger_of(connection) == server_id
    assert events.type_of(seen["listening"][0]) == "Handle"
    assert seen["listening"][1] == main_id


# -- asyncWrapProviders --------------------------------------------------------------------------


def test_the_providers_contain_every_type_that_init_gives() -> None:
    """It says: "This map contains all the event types that might be emitted by the
    async_hooks.init() event"."""
    types: set[str] = set()

    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.to_thread(int)
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        await asyncio.sleep(0.001)
        writer.close()
        server.close()

    with create_hook(init=lambda async_id, type, *_: types.add(type)):
        asyncio.run(main())
        AsyncResource("of the program's own")
    assert types >= {"Server", "Transport", "Task", "Future", "TimerHandle", "of the program's own"}
    assert types <= set(whence.async_wrap_providers)


# -- Promise execution tracking ------------------------------------------------------------------


def then(note: Callable[[], None]) -> Callable[[], Any]:
    """Promise.resolve(1729).then(() => { console.log(`eid ... tid ...`); });"""

    async def main() -> None:
        promise = asyncio.get_running_loop().create_future()
        promise.set_result(1729)
        promise.add_done_callback(lambda _: note())
        await turns()

    return main


def test_without_a_hook_promises_are_not_tracked() -> None:
    """produces: eid 1 tid 0."""
    seen: list[tuple[int, int]] = []
    main = then(lambda: seen.append((execution_async_id(), trigger_async_id())))
    asyncio.run(main())
    assert seen == [(1, 0)]


def test_any_hook_forces_them_to_be_tracked() -> None:
    """createHook({ init() {} }).enable(); produces: eid 7 tid 6: the promise of then(), triggered
    by the first promise."""
    seen: list[tuple[int, int]] = []
    main = then(lambda: seen.append((execution_async_id(), trigger_async_id())))
    with record() as events:
        asyncio.run(main())
    ((eid, tid),) = seen
    assert (events.type_of(eid), events.type_of(tid)) == ("Handle", "Future")
    assert events.trigger_of(eid) == tid
    assert "before" not in events.names(tid)
