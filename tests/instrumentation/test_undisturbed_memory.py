"""What is dropped is gone when it would be without whence, or sooner: no cycles of ours, nothing
kept."""

from undisturbed import Undisturbed


def test_what_is_dropped_is_gone_at_once(undisturbed: Undisturbed) -> None:
    undisturbed.check_keeps_no_more(
        """
        import asyncio, concurrent.futures, gc, socket, sys, threading, weakref

        gc.disable()

        class Thing:
            def method(self, *args):
                pass

            def fail(self, *args):
                raise ValueError("on purpose")

        def gone(what, reference):
            print(what, "gone" if reference() is None else "alive")

        def thing():
            thing = Thing()
            return thing, weakref.ref(thing)

        async def step():
            await asyncio.sleep(0)

        async def use(thing, fail=False):
            await asyncio.sleep(0)
            if fail:
                raise ValueError("on purpose")

        class Inline(concurrent.futures.Executor):
            def submit(self, fn, /, *args, **kwargs):
                future = concurrent.futures.Future()
                future.set_result(fn(*args, **kwargs))
                return future

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: None)
            for name in ("method", "fail"):
                a, ref = thing()
                loop.call_soon(getattr(a, name))
                del a
                await asyncio.sleep(0)
                gone(f"call_soon {name}", ref)
                a, ref = thing()
                loop.call_soon(print, a).cancel()
                del a
                gone("cancelled argument", ref)
                a, ref = thing()
                handle = weakref.ref(loop.call_later(0, getattr(a, name), a))
                del a
                await asyncio.sleep(0.001)
                gone(f"call_later {name}", ref)
                gone("timer", handle)
                a, ref = thing()
                loop.call_soon_threadsafe(getattr(a, name))
                del a
                await asyncio.sleep(0.001)
                gone(f"threadsafe {name}", ref)
                a, ref = thing()
                future = loop.create_future()
                future.add_done_callback(getattr(a, name))
                future.set_result(a)
                future_ref = weakref.ref(future)
                del a, future
                await asyncio.sleep(0)
                gone(f"done callback {name}", ref)
                gone("future", future_ref)
            a, ref = thing()
            future = loop.create_future()
            future.a = a
            future_ref = weakref.ref(future)
            del a, future
            gone("dropped future", future_ref)
            gone("what it refers to", ref)
            for fail in (False, True):
                a, ref = thing()
                task = loop.create_task(use(a, fail))
                task_ref = weakref.ref(task)
                del a
                await asyncio.wait([task])
                if fail:
                    print(task.exception())
                gone(f"argument of a task, failed {fail}", ref)
                del task
                await asyncio.sleep(0)
                gone("task", task_ref)
                a, ref = thing()
                try:
                    await asyncio.gather(use(a, fail), use(a))
                except ValueError:
                    pass
                del a
                await asyncio.sleep(0)
                gone(f"argument of gathered, failed {fail}", ref)
            a, ref = thing()
            task = loop.create_task(use(a))
            task.cancel()
            del a
            await asyncio.wait([task])
            gone("argument of a cancelled task", ref)
            if sys.version_info >= (3, 12):
                for fail in (False, True):
                    a, ref = thing()
                    task = asyncio.Task(use(a, fail), loop=loop, eager_start=True)
                    await asyncio.wait([task])
                    if fail:
                        task.exception()
                    task_ref = weakref.ref(task)
                    del a, task
                    await asyncio.sleep(0)
                    gone(f"argument of an eager task, failed {fail}", ref)
                    gone("eager task", task_ref)
            ours, theirs = socket.socketpair()
            for add, remove in (
                (loop.add_reader, loop.remove_reader),
                (loop.add_writer, loop.remove_writer),
            ):
                a, ref = thing()
                add(ours, a.method)
                del a
                b, ref_b = thing()
                add(ours, b.method)
                del b
                gone("replaced reader or writer", ref)
                remove(ours)
                gone("removed reader or writer", ref_b)
            ours.close(), theirs.close()
            for signal in (10, 12):
                a, ref = thing()
                loop.add_signal_handler(10, a.method)
                del a
                b, ref_b = thing()
                loop.add_signal_handler(10, b.method)
                del b
                gone("replaced signal handler", ref)
                loop.remove_signal_handler(10)
                gone("removed signal handler", ref_b)
            pool = concurrent.futures.ThreadPoolExecutor(1)
            for executor in (pool, Inline()):
                for name in ("method", "fail"):
                    a, ref = thing()
                    try:
                        await loop.run_in_executor(executor, getattr(a, name), a)
                    except ValueError:
                        pass
                    del a
                    await loop.run_in_executor(pool, int)
                    gone(f"job {name}", ref)
            pool.shutdown()
            for name in ("method", "fail"):
                a, ref = thing()
                thread = threading.Thread(target=getattr(a, name), args=(a,))
                thread_ref = weakref.ref(thread)
                del a
                thread.start()
                thread.join()
                gone(f"target of a thread {name}", ref)
                del thread
                gone("thread", thread_ref)
            thread = threading.Thread()
            thread.run = Thing().method
            thread_ref = weakref.ref(thread)
            thread.start()
            thread.join()
            del thread
            gone("thread with a run of its own", thread_ref)
            timer = threading.Timer(0, print)
            timer_ref = weakref.ref(timer)
            timer.start()
            timer.join()
            del timer
            gone("timer", timer_ref)
            thread = threading.Thread()
            thread_ref = weakref.ref(thread)
            del thread
            gone("thread never started", thread_ref)

        threading.excepthook = lambda args: None
        asyncio.run(main())
        """,
        *("call_soon method gone", "dropped future gone", "job fail gone", "timer gone"),
    )


def test_connections_are_gone_when_they_are_lost(undisturbed: Undisturbed) -> None:
    undisturbed.check_keeps_no_more(
        """
        import asyncio, gc, weakref

        gc.disable()
        seen = []

        class Protocol(asyncio.Protocol):
            def __init__(self):
                seen.append(("protocol", weakref.ref(self)))

            def connection_made(self, transport):
                seen.append(("transport", weakref.ref(transport)))
                self.transport = transport

            def data_received(self, data):
                self.transport.write(data)

            def connection_lost(self, error):
                self.transport = None

        class Failing(Protocol):
            def data_received(self, data):
                raise ValueError("on purpose")

        async def handle(reader, writer):
            seen.append(("reader", weakref.ref(reader)))
            seen.append(("writer", weakref.ref(writer)))
            writer.write(await reader.read(5))
            writer.close()

        async def talk(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            seen.append(("client's", weakref.ref(writer)))
            writer.write(b"x")
            print(await reader.read(5))
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: None)
            for start in (
                lambda: loop.create_server(Protocol, "127.0.0.1", 0),
                lambda: loop.create_server(Failing, "127.0.0.1", 0),
                lambda: asyncio.start_server(handle, "127.0.0.1", 0),
            ):
                server = await start()
                seen.append(("server", weakref.ref(server)))
                await talk(server.sockets[0].getsockname()[1])
                await asyncio.sleep(0.01)
                server.close()
                del server
                await asyncio.sleep(0.01)
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            seen.append(("process", weakref.ref(process)))
            seen.append(("process transport", weakref.ref(process._transport)))
            await process.communicate(b"x")
            del process
            transport, protocol = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            seen.append(("datagram transport", weakref.ref(transport)))
            transport.close()
            del transport, protocol
            await asyncio.sleep(0.05)

        asyncio.run(main())
        for what, reference in seen:
            print(what, "gone" if reference() is None else "alive")
        """,
        *("protocol gone", "transport gone", "writer gone", "server gone"),
    )


def test_the_collector_finds_as_much_as_it_did(undisturbed: Undisturbed) -> None:
    undisturbed.check_keeps_no_more(
        """
        import asyncio, collections, gc, threading, types, warnings

        warnings.simplefilter("ignore")
        gc.disable()

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                pass

        async def fail():
            await asyncio.sleep(0)
            raise ValueError("on purpose")

        async def nothing():
            pass

        async def everything():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: None)
            for _ in range(5):
                loop.call_soon(int)
                loop.call_soon(int, "x")
                loop.call_later(0, int)
                loop.call_later(100, int).cancel()
                loop.create_future()
                loop.create_future().set_result(1)
                loop.create_task(nothing())
                loop.create_task(fail())
                asyncio.gather(nothing(), nothing())
                await asyncio.sleep(0.001)
                try:
                    await asyncio.wait_for(asyncio.sleep(1), 0.001)
                except TimeoutError:
                    pass
                await asyncio.to_thread(int)
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            for _ in range(5):
                transport, protocol = await loop.create_connection(Protocol, "127.0.0.1", port)
                transport.write(b"x")
                await asyncio.sleep(0.001)
                transport.close()
            await asyncio.sleep(0.01)
            server.close()
            for _ in range(5):
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()

        def kind(found):
            if isinstance(found, types.FrameType):
                return "frame", found.f_code.co_filename, found.f_code.co_name
            return type(found).__module__, type(found).__qualname__

        # What the first round imports and keeps is different, and no matter; then, what is tied to
        # the program's own cycles may be more by what is ours, but none of the program's.
        asyncio.run(everything())
        gc.collect()
        asyncio.run(everything())
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = collections.Counter(map(kind, gc.garbage))
        for found, number in sorted(kinds.items()):
            path = "/".join(found)
            is_ours = path.startswith("whence") or "/agent/" in path or "/instrumentation/" in path
            if not is_ours and found not in (("builtins", "tuple"), ("builtins", "dict")):
                print(path, number)
        """,
        *("builtins/coroutine", "asyncio.events/Handle", "builtins/method"),
        counts=True,
    )


def test_what_does_not_execute_is_held_by_as_many_references_as_without(
    undisturbed: Undisturbed,
) -> None:
    undisturbed.check_keeps_no_more(
        """
        import asyncio, concurrent.futures, sys, threading
        from sys import getrefcount as count

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                pass

        def callback(*args):
            pass

        async def work(thing):
            await asyncio.sleep(0)
            print("task:", count(thing))

        async def main():
            loop = asyncio.get_running_loop()
            thing = object()
            handle = loop.call_soon(callback, thing)
            timer = loop.call_later(0, callback, thing)
            print("scheduled:", count(handle), count(timer), count(callback), count(thing))
            await asyncio.sleep(0.001)
            print("ran:", count(handle), count(timer), count(callback), count(thing))
            del handle, timer
            print(count(thing))
            handle = loop.call_later(10, callback, thing)
            handle.cancel()
            print("cancelled:", count(handle), count(thing))
            future = loop.create_future()
            print("future:", count(future))
            future.add_done_callback(callback)
            print("future:", count(future), count(callback))
            future.set_result(thing)
            print("settled:", count(future), count(thing))
            await asyncio.sleep(0)
            print("told:", count(future), count(thing))
            coroutine = work(thing)
            task = loop.create_task(coroutine)
            print("made:", count(coroutine), count(thing))
            await task
            print("done:", count(task), count(coroutine), count(thing))
            thread = threading.Thread(target=callback, args=(thing,))
            print("thread:", count(thread), count(thing))
            thread.start()
            thread.join()
            print("joined:", count(thread), count(thing))
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                await loop.run_in_executor(pool, callback, thing)
            print("job:", count(thing))
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            print("server:", count(server))
            transport, protocol = await loop.create_connection(
                Protocol, *server.sockets[0].getsockname()
            )
            await asyncio.sleep(0.01)
            print("connection:", count(transport), count(protocol))
            transport.close()
            await asyncio.sleep(0.01)
            print("lost:", count(transport), count(protocol))
            server.close()
            await asyncio.sleep(0.01)
            print("closed:", count(server))

        asyncio.run(main())
        """,
        *("scheduled: ", "settled: ", "joined: ", "lost: "),
    )
