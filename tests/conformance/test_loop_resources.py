"""What asyncio creates: handles, timers, futures and tasks."""

import asyncio
import threading

import pytest

import whence


def test_call_soon(rec, drive, pump, loop_factory):
    # Perry issue, acceptance tests: setImmediate / nextTick; test/async-hooks/test-immediate.js
    seen = {}

    async def main():
        me = whence.execution_async_id()
        m = rec.mark()

        def cb(x):
            seen["x"], seen["e"], seen["t"] = (
                x,
                whence.execution_async_id(),
                whence.trigger_async_id(),
            )

        asyncio.get_running_loop().call_soon(cb, 4)
        h = rec.one("Handle", m)
        await pump()
        assert seen == {"x": 4, "e": h, "t": me}
        assert rec.trigger_of(h) == me
        assert rec.names(h) == ["init", "before", "after", "destroy"]

    drive(loop_factory, main)


def test_call_later(rec, drive, pump, until, loop_factory):
    # test/async-hooks/test-timers.setTimeout.js
    seen = []

    async def main():
        me = whence.execution_async_id()
        m = rec.mark()
        asyncio.get_running_loop().call_later(
            0.005, lambda: seen.append(whence.execution_async_id())
        )
        t = rec.one("TimerHandle", m)
        assert rec.names(t) == ["init"]
        assert rec.trigger_of(t) == me
        await until(lambda: seen)
        await pump()
        assert seen == [t]
        assert rec.names(t) == ["init", "before", "after", "destroy"]

    drive(loop_factory, main)


def test_call_at(rec, drive, pump, until, loop_factory):
    # test/async-hooks/test-timers.setTimeout.js, with an absolute time
    seen = []

    async def main():
        loop = asyncio.get_running_loop()
        m = rec.mark()
        loop.call_at(loop.time() + 0.005, lambda: seen.append(whence.execution_async_id()))
        t = rec.one("TimerHandle", m)
        await until(lambda: seen)
        await pump()
        assert seen == [t]
        assert rec.names(t) == ["init", "before", "after", "destroy"]

    drive(loop_factory, main)


def test_call_soon_threadsafe(rec, drive, pump, loop_factory):
    # design: "Handle" (call_soon / call_soon_threadsafe)
    seen = []

    async def main():
        m = rec.mark()
        asyncio.get_running_loop().call_soon_threadsafe(
            lambda: seen.append(whence.execution_async_id())
        )
        h = rec.one("Handle", m)
        await pump()
        assert seen == [h]
        assert rec.names(h) == ["init", "before", "after", "destroy"]

    drive(loop_factory, main)


@pytest.mark.parametrize("kind", ["soon", "later"])
def test_cancelled_before_it_ran(rec, drive, pump, loop_factory, kind):
    # test/parallel/test-async-hooks-top-level-clearimmediate.js;
    # clearTimeout in doc/api/async_hooks.md
    async def main():
        loop = asyncio.get_running_loop()
        m = rec.mark()
        if kind == "soon":
            handle = loop.call_soon(lambda: 1 / 0)
        else:
            handle = loop.call_later(0.001, lambda: 1 / 0)
        ((_, i, _, _),) = rec.inits(None, m)
        handle.cancel()
        assert rec.names(i) == ["init", "destroy"]
        await asyncio.sleep(0.01)
        assert rec.names(i) == ["init", "destroy"]

    drive(loop_factory, main)


def test_nested_handles_form_a_chain(rec, drive, pump, loop_factory):
    # test/async-hooks/test-graph.timeout.js: timeout:2 is triggered by timeout:1
    ids = []

    async def main():
        me = whence.execution_async_id()
        loop = asyncio.get_running_loop()

        def step(n):
            ids.append(whence.execution_async_id())
            if n:
                loop.call_soon(step, n - 1)

        loop.call_soon(step, 3)
        await pump(10)
        assert len(ids) == 4
        assert rec.chain(ids[3])[:5] == [ids[3], ids[2], ids[1], ids[0], me]

    drive(loop_factory, main)


def test_future_from_the_loop(rec, drive, pump, loop_factory):
    # Perry issue: createHook observes new Promise; promiseResolve and destroy on settle
    async def main():
        me = whence.execution_async_id()
        m = rec.mark()
        f = asyncio.get_running_loop().create_future()
        i = rec.one("Future", m)
        assert rec.trigger_of(i) == me
        assert rec.names(i) == ["init"]
        f.set_result(1)
        assert rec.count("promise_resolve", i) == 1
        await pump()
        assert rec.names(i) == ["init", "promise_resolve", "destroy"]

    drive(loop_factory, main)


def test_future_from_its_class(rec, drive, pump, loop_factory):
    # Perry issue, acceptance tests: new Promise
    async def main():
        m = rec.mark()
        f = asyncio.Future()
        i = rec.one("Future", m)
        f.set_result(None)
        await pump()
        assert rec.names(i) == ["init", "promise_resolve", "destroy"]

    drive(loop_factory, main)


@pytest.mark.parametrize("how", ["exception", "cancel"])
def test_future_that_fails(rec, drive, pump, loop_factory, how):
    # doc/api/async_hooks.md promiseResolve: "or through other means of resolving a promise"
    async def main():
        m = rec.mark()
        f = asyncio.get_running_loop().create_future()
        i = rec.one("Future", m)
        if how == "exception":
            f.set_exception(ValueError("x"))
            f.exception()
        else:
            f.cancel()
        await pump()
        assert rec.names(i) == ["init", "promise_resolve", "destroy"]

    drive(loop_factory, main)


def test_done_callback(rec, drive, pump, loop_factory):
    # test/parallel/test-async-hooks-promise-triggerid.js: inside then(), trigger is the promise
    seen = []

    async def main():
        m = rec.mark()
        f = asyncio.get_running_loop().create_future()
        i = rec.one("Future", m)
        f.add_done_callback(
            lambda _: seen.append((whence.execution_async_id(), whence.trigger_async_id()))
        )
        f.set_result(1)
        await pump()
        h = rec.one("Handle", m)
        assert seen == [(h, i)]
        assert rec.trigger_of(h) == i
        assert rec.names(h) == ["init", "before", "after", "destroy"]

    drive(loop_factory, main)


def test_task(rec, drive, pump, loop_factory):
    # Perry issue: before/after bracket every execution, executionAsyncId() is the resource's id
    seen = []

    async def work():
        seen.append((whence.execution_async_id(), whence.trigger_async_id()))
        await asyncio.sleep(0)
        seen.append((whence.execution_async_id(), whence.trigger_async_id()))

    async def main():
        me = whence.execution_async_id()
        m = rec.mark()
        t = asyncio.get_running_loop().create_task(work())
        i = rec.one("Task", m)
        assert rec.trigger_of(i) == me
        assert rec.names(i) == ["init"]
        await t
        await pump()
        assert seen == [(i, me), (i, me)]
        assert rec.names(i) == [
            "init",
            "before",
            "after",
            "before",
            "promise_resolve",
            "after",
            "destroy",
        ]

    drive(loop_factory, main)


def test_task_steps_are_not_handles(rec, drive, pump, loop_factory):
    # design: "the internal call_soon of a task step is NOT a separate Handle resource"
    async def work():
        for _ in range(3):
            await asyncio.sleep(0)

    async def main():
        m = rec.mark()
        t = asyncio.ensure_future(work())
        await pump(8)
        assert t.done()
        assert [e[2] for e in rec.inits(None, m)] == ["Task"]

    drive(loop_factory, main)


def test_await_of_a_future(rec, drive, pump, loop_factory):
    # test/async-hooks/test-async-await.js: before and after are matched, all is resolved
    async def main():
        loop = asyncio.get_running_loop()
        f = loop.create_future()

        async def work():
            return await f

        m = rec.mark()
        t = loop.create_task(work())
        i = rec.one("Task", m)
        await pump()
        assert rec.names(i) == ["init", "before", "after"]
        f.set_result(9)
        assert await t == 9
        await pump()
        assert rec.names(i) == [
            "init",
            "before",
            "after",
            "before",
            "promise_resolve",
            "after",
            "destroy",
        ]
        assert rec.ids("Handle", m) == []

    drive(loop_factory, main)


def test_main_task(rec, drive, loop_factory):
    # doc/api/async_hooks.md promise execution tracking; the first task is
    # triggered by the top level
    seen = {}

    async def main():
        seen["me"] = whence.execution_async_id()
        seen["trigger"] = whence.trigger_async_id()

    top = whence.execution_async_id()
    drive(loop_factory, main)
    assert rec.type_of(seen["me"]) == "Task"
    assert rec.trigger_of(seen["me"]) == seen["trigger"] == top
    assert rec.names(seen["me"]) == ["init", "before", "promise_resolve", "after", "destroy"]
    assert whence.execution_async_id() == top


def test_ids_grow_with_creation(rec, drive, pump, loop_factory):
    # Perry issue: "Monotonically increasing u64 per-process, assigned at resource creation time"
    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            loop.call_soon(lambda: None)
            loop.create_future().cancel()
            await asyncio.sleep(0.001)
        await pump()

    drive(loop_factory, main)
    ids = rec.ids()
    assert len(ids) >= 9
    assert ids == sorted(set(ids))


def test_no_hook_after_disable(rec, drive, pump, loop_factory):
    # test/parallel/test-async-hooks-enable-disable.js
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: None)
        rec.hook.disable()
        m = rec.mark()
        loop.call_soon(lambda: None)
        f = loop.create_future()
        f.set_result(1)
        await f
        await pump()
        assert rec.events[m:] == []

    drive(loop_factory, main)


def test_to_thread(rec, drive, pump, until, loop_factory):
    # design: "ExecutorJob" (run_in_executor / to_thread); before/after bracket the function
    seen = {}

    def work(x):
        seen["e"], seen["t"] = whence.execution_async_id(), whence.trigger_async_id()
        seen["thread"] = threading.get_ident()
        return x + 1

    async def main():
        me = whence.execution_async_id()
        m = rec.mark()
        assert await asyncio.to_thread(work, 1) == 2
        j = rec.one("ExecutorJob", m)
        await until(lambda: rec.count("destroy", j))
        assert seen["thread"] != threading.get_ident()
        assert (seen["e"], seen["t"]) == (j, me)
        assert rec.names(j) == ["init", "before", "after", "destroy"]
        assert whence.execution_async_id() == me

    drive(loop_factory, main)


def test_thread(rec):
    # Perry issue: per-thread stack of execution ids; design: type "Thread"
    seen = {}

    def work():
        seen["e"], seen["t"] = whence.execution_async_id(), whence.trigger_async_id()

    me = whence.execution_async_id()
    t = threading.Thread(target=work)
    t.start()
    t.join()
    i = rec.one("Thread")
    assert seen == {"e": i, "t": me}
    assert rec.names(i) == ["init", "before", "after", "destroy"]
    assert whence.execution_async_id() == me
