"""AsyncLocalStorage: the documented behaviour."""

import asyncio

import pytest

from whence import AsyncLocalStorage


def test_no_store_outside_of_run():
    # doc/api/async_context.md getStore(): undefined outside of run() and enterWith()
    assert AsyncLocalStorage().get_store() is None


def test_default():
    # test/parallel/test-als-defaultvalue.js
    assert AsyncLocalStorage(default="d").get_store() == "d"
    als = AsyncLocalStorage(default=42)
    assert als.run(1, als.get_store) == 1
    assert als.get_store() == 42


def test_name():
    # test/parallel/test-als-defaultvalue.js
    assert AsyncLocalStorage(name="test").name == "test"


def test_run_gives_store_arguments_and_result():
    # test/async-hooks/test-async-local-storage-args.js
    als = AsyncLocalStorage()
    store = {}
    assert als.run(store, lambda a, b, *, c: (a, b, c, als.get_store() is store), 1, 2, c=3) == (
        1,
        2,
        3,
        True,
    )
    assert als.get_store() is None


@pytest.mark.parametrize(
    "store",
    [0, False, "", 42, "text", (), None, object()],
    ids=["0", "False", "empty", "42", "text", "tuple", "None", "object"],
)
def test_any_value_is_a_store(store):
    # test/async-hooks/test-async-local-storage-misc-stores.js
    als = AsyncLocalStorage()
    assert als.run(store, als.get_store) is store


def test_nested_runs():
    # Deno tests/unit_node/async_hooks_test.ts nested
    als = AsyncLocalStorage()
    seen = []

    def outer():
        seen.append(als.get_store())
        als.run("in", lambda: seen.append(als.get_store()))
        seen.append(als.get_store())

    als.run("out", outer)
    seen.append(als.get_store())
    assert seen == ["out", "in", "out", None]


def test_storages_are_independent():
    # test/async-hooks/test-async-local-storage-nested.js
    a, b = AsyncLocalStorage(), AsyncLocalStorage()
    assert a.run(1, lambda: b.run(2, lambda: (a.get_store(), b.get_store()))) == (1, 2)
    assert a.run(1, b.get_store) is None


def test_run_lets_exceptions_out_and_leaves_the_context():
    # test/async-hooks/test-async-local-storage-errors.js err1
    als = AsyncLocalStorage()

    def boom():
        raise LookupError("err1")

    with pytest.raises(LookupError):
        als.run("s", boom)
    assert als.get_store() is None


def test_callbacks_started_inside_keep_the_store(drive, until, loop_factory):
    # Deno worksWithAsyncAPIs; doc/api/async_context.md run()
    als = AsyncLocalStorage()
    seen = {}

    async def main():
        loop = asyncio.get_running_loop()

        def start():
            loop.call_soon(lambda: seen.__setitem__("soon", als.get_store()))
            loop.call_later(0.002, lambda: seen.__setitem__("later", als.get_store()))
            f = loop.create_future()
            f.add_done_callback(lambda _: seen.__setitem__("done", als.get_store()))
            return f

        f = als.run("s", start)
        f.set_result(1)
        await until(lambda: len(seen) == 3)
        assert seen == {"soon": "s", "later": "s", "done": "s"}
        assert als.get_store() is None

    drive(loop_factory, main)


def test_tasks_started_inside_keep_the_store(drive, loop_factory):
    # Deno foo(): three execs, each with its own id, before and after an await
    als = AsyncLocalStorage()
    out = []

    async def exec_():
        out.append(("start", als.get_store()))
        await asyncio.sleep(0.002)
        out.append(("finish", als.get_store()))

    async def main():
        tasks = [als.run(i, lambda: asyncio.ensure_future(exec_())) for i in (1, 2, 3)]
        await asyncio.gather(*tasks)
        assert als.get_store() is None

    drive(loop_factory, main)
    assert out[:3] == [("start", 1), ("start", 2), ("start", 3)]
    assert sorted(out[3:]) == [("finish", 1), ("finish", 2), ("finish", 3)]


def test_await_of_run_with_an_async_function(drive, loop_factory):
    # doc/api/async_context.md "Usage with async/await"
    als = AsyncLocalStorage()
    seen = []

    async def foo():
        seen.append(als.get_store())
        await asyncio.sleep(0.001)
        seen.append(als.get_store())
        return "r"

    async def main():
        assert await als.run("s", foo) == "r"
        seen.append(als.get_store())

    drive(loop_factory, main)
    assert seen == ["s", "s", None]


def test_enter_with(drive, pump, loop_factory):
    # test/async-hooks/test-async-local-storage-enter-with.js
    als = AsyncLocalStorage()
    seen = []

    async def main():
        als.enter_with("s")
        seen.append(als.get_store())
        asyncio.get_running_loop().call_soon(lambda: seen.append(als.get_store()))
        await pump()
        seen.append(als.get_store())

    drive(loop_factory, main)
    assert seen == ["s", "s", "s"]
    assert als.get_store() is None


def test_exit():
    # doc/api/async_context.md exit()
    als = AsyncLocalStorage()
    assert als.run(
        "s", lambda: (als.exit(lambda a, b=0: (a, b, als.get_store()), 1, b=2), als.get_store())
    ) == ((1, 2, None), "s")


def test_exit_lets_exceptions_out_and_enters_again():
    # doc/api/async_context.md exit(): "the context is re-entered"
    als = AsyncLocalStorage()

    def boom():
        assert als.get_store() is None
        raise LookupError("x")

    def body():
        with pytest.raises(LookupError):
            als.exit(boom)
        return als.get_store()

    assert als.run("s", body) == "s"


def test_disable():
    # doc/api/async_context.md disable()
    als = AsyncLocalStorage()

    def body():
        als.disable()
        return als.get_store()

    assert als.run("s", body) is None
    assert als.get_store() is None
    assert als.run("again", als.get_store) == "again"


def test_bind():
    # Deno bind(); test/parallel/test-async-local-storage-bind.js
    als = AsyncLocalStorage()
    bound = als.run("bound", lambda: AsyncLocalStorage.bind(lambda a, b=0: (a, b, als.get_store())))
    assert als.run("other", lambda: (bound(1, b=2), als.get_store())) == ((1, 2, "bound"), "other")


@pytest.mark.parametrize("bad", [1, False, "", {}, []], ids=repr)
def test_bind_needs_a_callable(bad):
    # test/parallel/test-async-local-storage-bind.js ERR_INVALID_ARG_TYPE
    with pytest.raises(TypeError):
        AsyncLocalStorage.bind(bad)


def test_snapshot():
    # test/parallel/test-async-local-storage-snapshot.js
    als = AsyncLocalStorage()
    run_in = als.run(123, AsyncLocalStorage.snapshot)
    assert als.run(321, lambda: (run_in(als.get_store), als.get_store())) == (123, 321)
    assert run_in(lambda a, *, b: (a, b), 1, b=2) == (1, 2)
