"""The examples of Bun's reference of async_hooks, in its order, in asyncio's terms."""

import asyncio
import contextvars
import itertools
from collections.abc import Callable
from typing import Any

import pytest

import whence
from telling import run_followed, told, turns
from whence import AsyncLocalStorage, AsyncResource, create_hook, execution_async_id
from whence.testing import record

# -- class AsyncLocalStorage ---------------------------------------------------------------------


def test_a_logger_that_gives_ids_to_requests() -> None:
    """Prints: 0: start, 1: start, 0: finish, 1: finish."""
    printed: list[str] = []
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()
    id_seq = itertools.count()

    def log_with_id(message: str) -> None:
        store = storage.get_store()
        printed.append(f"{'-' if store is None else store}: {message}")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

        async def in_request() -> None:
            log_with_id("start")
            if storage.get_store() == 1:
                turn_to_finish[0].set()
            # Imagine any chain of async operations here
            await turn_to_finish[storage.get_store() or 0].wait()
            asyncio.get_running_loop().call_soon(finish)

        def finish() -> None:
            log_with_id("finish")
            turn_to_finish[1].set()
            writer.close()

        await storage.run(next(id_seq), in_request)

    async def get(address: Any) -> None:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        writer.close()

    turn_to_finish = asyncio.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        await asyncio.gather(get(address), get(address))
        server.close()

    log_with_id("outside")
    asyncio.run(main())
    assert printed == ["-: outside", "0: start", "1: start", "0: finish", "1: finish"]


def test_storages_do_not_interfere() -> None:
    """It says: "Multiple instances can safely exist simultaneously"."""
    a: AsyncLocalStorage[int] = AsyncLocalStorage()
    b: AsyncLocalStorage[int] = AsyncLocalStorage()
    seen = a.run(1, lambda: b.run(2, lambda: a.run(3, lambda: (a.get_store(), b.get_store()))))
    assert seen == (3, 2)


def test_disable() -> None:
    """It says: "All subsequent calls to getStore() will return undefined until run() or enterWith()
    is called again ... all current contexts linked to the instance will be exited"."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage()
    seen: list[str | None] = []

    def body() -> None:
        storage.disable()
        seen.append(storage.get_store())
        storage.run("again", lambda: seen.append(storage.get_store()))
        seen.append(storage.get_store())
        storage.enter_with("entered")
        seen.append(storage.get_store())

    storage.run("s", body)
    assert seen == [None, "again", None, "entered"]


def in_a_context_of_its_own(test: Callable[[], None]) -> None:
    """What a test enters must not stay for the next one."""
    contextvars.copy_context().run(test)


def test_enter_with() -> None:
    """It says: "Transitions into the context for the remainder of the current synchronous execution
    and then persists the store through any following asynchronous calls"."""
    storage: AsyncLocalStorage[dict[str, int]] = AsyncLocalStorage()
    store = {"id": 1}
    seen: list[Any] = []

    async def main() -> None:
        # Replaces previous store with the given store object
        storage.enter_with(store)
        seen.append(storage.get_store())  # Returns the store object
        asyncio.get_running_loop().call_soon(lambda: seen.append(storage.get_store()))
        await turns()

    asyncio.run(main())
    assert [found is store for found in seen] == [True, True]


def test_enter_with_in_an_event_handler() -> None:
    """It says: "subsequent event handlers will also run within that context"."""
    storage: AsyncLocalStorage[dict[str, int]] = AsyncLocalStorage()
    store = {"id": 1}
    seen: list[Any] = []
    listeners: list[Callable[[], None]] = [
        lambda: storage.enter_with(store),
        lambda: seen.append(storage.get_store()),  # Returns the same object
    ]

    def test() -> None:
        seen.append(storage.get_store())  # Returns undefined
        for listener in listeners:
            listener()
        seen.append(storage.get_store())  # Returns the same object

    in_a_context_of_its_own(test)
    assert seen == [None, store, store]
    assert storage.get_store() is None


def test_an_event_handler_bound_to_another_context() -> None:
    """It says: "... unless specifically bound to another context with an AsyncResource"."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage()
    seen: list[str | None] = []
    bound = AsyncResource("HANDLER").bind(lambda: seen.append(storage.get_store()))

    def test() -> None:
        storage.enter_with("entered")
        bound()
        seen.append(storage.get_store())

    in_a_context_of_its_own(test)
    assert seen == [None, "entered"]


def test_exit() -> None:
    """The example within a call to run."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage()
    seen: list[str | None] = []

    def fail(*args: int, **kwargs: int) -> None:
        seen.append(storage.get_store())  # Returns undefined
        raise LookupError(args, kwargs)

    def within_run() -> None:
        try:
            seen.append(storage.get_store())  # Returns the store object or value
            storage.exit(fail, 1, two=2)
        except LookupError as error:
            seen.append(storage.get_store())  # Returns the same object or value
            # The error will be caught here
            caught.append(error.args)

    caught: list[Any] = []
    storage.run("s", within_run)
    assert seen == ["s", None, "s"]
    assert caught == [((1,), {"two": 2})]


def test_get_store_outside_of_any_context() -> None:
    """It says: "If called outside of an asynchronous context ... it returns undefined"."""
    assert AsyncLocalStorage().get_store() is None


def test_run() -> None:
    """The example with a timer, and an error thrown out of it."""
    storage: AsyncLocalStorage[dict[str, int]] = AsyncLocalStorage()
    store = {"id": 2}
    seen: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def timeout() -> None:
            seen.append(storage.get_store())  # Returns the store object
            done.set_result(None)

        def body() -> None:
            seen.append(storage.get_store())  # Returns the store object
            loop.call_later(0.005, timeout)
            raise LookupError

        try:
            storage.run(store, body)
        except LookupError:
            seen.append(storage.get_store())  # Returns undefined
            # The error will be caught here
        await done

    asyncio.run(main())
    assert seen == [store, None, store]
    assert storage.run(store, lambda a, *, b: (a, b), 1, b=2) == (1, 2)


def test_bind() -> None:
    """It says: "A new function that calls fn within the captured execution context"."""
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()
    bound = storage.run(123, lambda: AsyncLocalStorage.bind(storage.get_store))
    assert storage.run(321, bound) == 123


def test_snapshot() -> None:
    """const result = asyncLocalStorage.run(321, () => runInAsyncScope(() => getStore()));
    console.log(result);  // returns 123"""
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()
    run_in_async_scope = storage.run(123, AsyncLocalStorage.snapshot)
    assert storage.run(321, lambda: run_in_async_scope(storage.get_store)) == 123


def test_a_snapshot_in_place_of_an_async_resource() -> None:
    """class Foo { #runInAsyncScope = AsyncLocalStorage.snapshot(); ... }  // returns 123."""
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()

    class Foo:
        def __init__(self) -> None:
            self._run_in_async_scope = AsyncLocalStorage.snapshot()

        def get(self) -> object:
            return self._run_in_async_scope(storage.get_store)

    foo = storage.run(123, Foo)
    assert storage.run(321, foo.get) == 123


# -- class AsyncResource -------------------------------------------------------------------------


def test_overview_of_async_resource() -> None:
    """The overview, step by step, and that each does what its comment says."""
    log: list[Any] = []

    def fn(*args: object) -> str:
        log.append((args, execution_async_id()))
        return "result"

    with record() as events:
        # Instantiating also triggers init. If trigger_async_id is omitted then
        # execution_async_id() is used.
        resource = AsyncResource(
            "TYPE", trigger_async_id=execution_async_id(), require_manual_destroy=False
        )
        # Run a function in the execution context of the resource.
        assert resource.run_in_async_scope(fn, "a", "b") == "result"
        # Call AsyncHooks destroy callbacks.
        resource.emit_destroy()
    # Return the unique ID assigned to the AsyncResource instance.
    async_id = resource.async_id()
    # Return the trigger ID for the AsyncResource instance.
    assert resource.trigger_async_id() == 1
    assert log == [(("a", "b"), async_id)]
    assert told(events, r=async_id) == [
        "init r TYPE by top",
        "before r",
        "after r",
        "destroy r",
    ]
    assert execution_async_id() == 1


def test_bind_to_the_scope_of_a_resource() -> None:
    """It says: "Binds the given function to execute to this AsyncResource's scope"."""
    resource = AsyncResource("X")
    assert resource.bind(execution_async_id)() == resource.async_id()


def test_emit_destroy_twice_is_an_error() -> None:
    """It says: "This should only ever be called once. An error will be thrown if it is called more
    than once"."""
    resource = AsyncResource("X").emit_destroy()
    with pytest.raises(RuntimeError):
        resource.emit_destroy()


def test_static_bind() -> None:
    """It says: "Binds the given function to the current execution context", with an optional name
    for the resource."""
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()
    with record() as events:
        bound = storage.run(1, AsyncResource.bind_function, storage.get_store, "NAME")
        assert storage.run(2, bound) == 1
    assert [events.type_of(i) for i in events.ids()] == ["NAME"]


# -- function createHook -------------------------------------------------------------------------


def test_create_hook_with_an_object_and_with_inherited_callbacks() -> None:
    seen: list[str] = []

    class MyAsyncCallbacks:
        def init(self, *_: object) -> None:
            seen.append("init")

        def destroy(self, async_id: int) -> None:
            seen.append("destroy")

    class MyAddedCallbacks(MyAsyncCallbacks):
        def before(self, async_id: int) -> None:
            seen.append("before")

        def after(self, async_id: int) -> None:
            seen.append("after")

    for callbacks in (MyAsyncCallbacks(), MyAddedCallbacks()):
        with create_hook(callbacks):
            resource = AsyncResource("X")
            resource.run_in_async_scope(int)
            resource.emit_destroy()
    assert seen == ["init", "destroy", "init", "before", "after", "destroy"]


def test_execution_async_id_at_the_top_and_in_a_callback() -> None:
    """console.log(executionAsyncId());  // 1 - bootstrap; in the callback // 6 - open()."""
    seen = [execution_async_id()]

    async def main() -> int:
        with record() as events:
            await asyncio.to_thread(lambda: seen.append(execution_async_id()))
        return events.ids("ExecutorJob")[0]

    job = run_followed(main())
    assert seen == [1, job]


def test_execution_async_resource_carries_data_through_requests() -> None:
    """The http server with a private symbol, and its state in the callback of a timer."""

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        cr = whence.execution_async_resource()
        if hasattr(cr, "bun_state"):
            resource.bun_state = cr.bun_state  # type: ignore[attr-defined]

    async def request(url: str) -> Any:
        current: Any = whence.execution_async_resource()
        current.bun_state = {"state": url}
        answer = asyncio.get_running_loop().create_future()

        def respond() -> None:
            timer: Any = whence.execution_async_resource()
            answer.set_result(timer.bun_state)

        asyncio.get_running_loop().call_later(0.005, respond)
        return await answer

    async def main() -> list[Any]:
        return await asyncio.gather(*(request(url) for url in ("/1", "/2")))

    with create_hook(init=init):
        assert asyncio.run(main()) == [{"state": "/1"}, {"state": "/2"}]


# -- type definitions ----------------------------------------------------------------------------


def test_a_hook_once_disabled_is_not_called_until_enabled() -> None:
    """It says: "Once a hook has been disabled it will not be called again until enabled"; "If no
    callbacks are provided enabling is a noop"."""
    seen: list[str] = []
    hook = create_hook(init=lambda async_id, type, *_: seen.append(type)).enable().disable()
    AsyncResource("A")
    hook.enable()
    AsyncResource("B")
    hook.disable()
    empty = create_hook()
    assert empty.enable().disable() is empty
    assert seen == ["B"]


def test_require_manual_destroy_disables_the_automatic_one() -> None:
    """It says: "Disables automatic emitDestroy when the object is garbage collected"."""
    with record() as events:
        AsyncResource("MANUAL", require_manual_destroy=True)
        AsyncResource("AUTOMATIC")
        asyncio.run(turns(1))
    (manual,), (automatic,) = events.ids("MANUAL"), events.ids("AUTOMATIC")
    assert events.names(manual) == ["init"]
    assert events.names(automatic) == ["init", "destroy"]


def test_promise_resolve_may_come_in_another_execution_id() -> None:
    """It says: "This may not be in the same execution id as the promise itself"."""
    seen: list[tuple[int, int]] = []

    async def main() -> tuple[int, int]:
        settler = AsyncResource("SETTLER")
        with create_hook(promise_resolve=lambda i: seen.append((i, execution_async_id()))):
            with record() as events:
                future = asyncio.get_running_loop().create_future()
            settler.run_in_async_scope(future.set_result, None)
        return events.ids()[0], settler.async_id()

    assert run_followed(main()) == seen[0]
