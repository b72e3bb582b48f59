"""What programs see of uvloop: as if nobody watched."""

import pytest
from undisturbed import Undisturbed

pytest.importorskip("uvloop")


def test_how_objects_show_themselves(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, functools, threading, uvloop

        def callback(*args):
            pass

        class Callable:
            def __call__(self, *args):
                pass

            def method(self, *args):
                pass

        async def wait():
            await asyncio.sleep(10)

        async def main():
            loop = asyncio.get_running_loop()
            instance = Callable()
            callbacks = (
                callback,
                print,
                instance,
                instance.method,
                functools.partial(callback, 1),
                loop.stop,
                loop.create_future().cancel,
                threading.Event().set,
                threading.Thread().start,
                lambda: None,
                5,
            )
            for debug in (False, True):
                loop.set_debug(debug)
                loop.slow_callback_duration = 100
                for each in callbacks:
                    handle = loop.call_soon(each)
                    print(handle, type(handle), handle.cancelled())
                    handle.cancel()
                    print(handle, handle.cancelled())
                    handle = loop.call_soon_threadsafe(each)
                    print(handle)
                    handle.cancel()
                    timer = loop.call_later(10, each)
                    print(timer, type(timer))
                    timer.cancel()
                    print(timer, timer.cancelled())
                handle = loop.call_soon(callback, 1, 2)
                await asyncio.sleep(0)
                print(handle)
                future = loop.create_future()
                print(future, type(future))
                future.add_done_callback(callback)
                print(future, future._callbacks)
                future.set_result(5)
                print(future)
                task = loop.create_task(wait(), name="named")
                print(task)
                await asyncio.sleep(0)
                print(task, task.get_stack(), task.get_coro())
                task.print_stack()
                task.cancel()
                print(task)
                gathered = asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
                print(gathered, type(gathered).__name__, isinstance(gathered, asyncio.Future))
                await gathered
                print(asyncio.all_tasks())
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            print(type(server), server.sockets[0].type)
            port = server.sockets[0].getsockname()[1]
            transport, protocol = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            print(transport, type(protocol).__mro__, transport.get_protocol() is protocol)
            transport.close()
            await asyncio.sleep(0)
            print(transport)
            server.close()
            process = await asyncio.create_subprocess_exec("true")
            print(type(process), type(process._transport))
            await process.wait()
            print(loop)

        uvloop.run(main())
        """,
        *("<Handle callback>", "<TimerHandle Callable.method>", "<Handle cancelled>", "<Handle 5>"),
        *("created at", "program.py", "<Future pending cb=[", "cancelling name='named'"),
    )


def test_how_functions_show_themselves(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, inspect, uvloop
        from unittest import mock

        class Protocol(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                "What came."

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            server.close()
            names = (
                "call_soon", "call_soon_threadsafe", "call_later", "call_at", "create_future",
                "create_task", "add_reader", "remove_reader", "add_signal_handler", "close",
                "call_exception_handler", "create_server", "create_unix_server",
                "create_connection", "create_datagram_endpoint", "getaddrinfo", "getnameinfo",
                "start_tls", "subprocess_exec", "subprocess_shell", "connect_read_pipe",
            )
            for name in names:
                method = getattr(loop, name)
                print(
                    name, method.__name__, method.__qualname__, method.__module__,
                    inspect.iscoroutinefunction(method), asyncio.iscoroutinefunction(method),
                    inspect.ismethod(method), method.__self__ is loop,
                    inspect.signature(method).parameters.keys(), method.__doc__,
                )
                with mock.patch.object(loop, name, autospec=True) as mocked:
                    print(type(mocked).__name__)
            print(Protocol.data_received.__doc__, inspect.signature(Protocol.data_received))
            for coroutine in (
                loop.getaddrinfo("localhost", 80),
                loop.create_server(Protocol, "127.0.0.1", 0),
                loop.create_connection(Protocol, "127.0.0.1", 1),
            ):
                print(coroutine.__name__, coroutine.__qualname__, asyncio.iscoroutine(coroutine))
                coroutine.close()

        uvloop.run(main())
        """,
        *("Loop.create_connection", "True True True True", "What came."),
    )


def test_the_tracebacks_and_the_log_of_what_fails(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, logging, os, signal, socket, sys, time, traceback, uvloop

        logging.basicConfig(
            stream=sys.stdout, level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s"
        )

        def fail(*args):
            raise ValueError("on purpose")

        class Unspeakable:
            def __call__(self):
                fail()

            def __repr__(self):
                return "<unspeakable>"

        class Failing(asyncio.Protocol):
            def connection_made(self, transport):
                fail()

            def data_received(self, data):
                fail()

            def connection_lost(self, exc):
                fail()

        async def work():
            await asyncio.sleep(0)
            fail()

        async def main():
            loop = asyncio.get_running_loop()
            for debug in (False, True):
                loop.set_debug(debug)
                loop.slow_callback_duration = 100
                loop.call_soon(fail, 1)
                loop.call_soon_threadsafe(fail)
                await asyncio.sleep(0.001)
                loop.call_later(0.001, fail)
                await asyncio.sleep(0.01)
                loop.call_soon(Unspeakable())
                loop.call_soon(5)
                loop.call_soon(divmod, 1, 0)
                loop.create_future().add_done_callback(fail)
                settled = loop.create_future()
                settled.add_done_callback(fail)
                settled.set_result(None)
                ours, theirs = socket.socketpair()
                loop.add_reader(ours, lambda: (ours.recv(1), fail()))
                theirs.send(b"x")
                loop.add_signal_handler(signal.SIGUSR1, fail)
                os.kill(os.getpid(), signal.SIGUSR1)
                await asyncio.sleep(0.02)
                loop.remove_reader(ours)
                loop.remove_signal_handler(signal.SIGUSR1)
                ours.close(), theirs.close()
                try:
                    await loop.create_task(work())
                except ValueError:
                    traceback.print_exc()
                server = await loop.create_server(Failing, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                try:
                    transport, _ = await loop.create_connection(Failing, "127.0.0.1", port)
                    transport.write(b"x")
                except ValueError:
                    traceback.print_exc()
                await asyncio.sleep(0.02)
                server.close()
                for refused in (
                    lambda: loop.add_reader(-1, fail),
                    lambda: loop.call_later("soon", fail),
                    lambda: loop.add_signal_handler(signal.SIGKILL, fail),
                    lambda: loop.run_until_complete(work()),
                ):
                    try:
                        refused()
                    except Exception:
                        traceback.print_exc()
                for refused in (
                    loop.create_connection(Failing),
                    loop.create_connection(None, "127.0.0.1", 1),
                    loop.create_connection(Failing, "127.0.0.1", 1),
                    loop.create_server(Failing),
                    loop.getaddrinfo("localhost", 1.5),
                    loop.subprocess_exec(asyncio.SubprocessProtocol, "/nowhere/to/be/found"),
                ):
                    try:
                        await refused
                    except Exception:
                        traceback.print_exc()
            await asyncio.sleep(0.01)
            loop.slow_callback_duration = 0.1
            loop.call_soon(lambda: time.sleep(0.15))
            await asyncio.sleep(0.01)
            loop.call_later(0.001, lambda: time.sleep(0.15))
            await asyncio.sleep(0.01)
            loop.slow_callback_duration = 10

        uvloop.run(main())
        """,
        *("Exception in callback <function fail at 0x", "Exception in callback <unspeakable>"),
        *("Exception in callback 5", "source_traceback: Object created at", "in fail"),
        *("Connection refused", "Executing <Handle main.<locals>.<lambda>", "in work"),
    )


def test_what_is_dropped_is_gone_at_once(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, gc, socket, uvloop, weakref

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

        async def step(thing, fail=False):
            await asyncio.sleep(0)
            if fail:
                raise ValueError("on purpose")

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: None)
            for name in ("method", "fail"):
                a, ref = thing()
                loop.call_soon(getattr(a, name), a)
                del a
                await asyncio.sleep(0)
                gone(f"call_soon {name}", ref)
                a, ref = thing()
                handle = weakref.ref(loop.call_later(0.001, getattr(a, name), a))
                del a
                await asyncio.sleep(0.005)
                await asyncio.sleep(0.005)
                gone(f"call_later {name}", ref)
                gone("timer", handle)
                a, ref = thing()
                loop.call_soon_threadsafe(getattr(a, name), a)
                del a
                await asyncio.sleep(0.001)
                gone(f"call_soon_threadsafe {name}", ref)
                a, ref = thing()
                handle = loop.call_soon(getattr(a, name), a)
                handle.cancel()
                del a
                gone("cancelled", ref)
                a, ref = thing()
                timer = loop.call_later(10, getattr(a, name), a)
                timer.cancel()
                del a
                gone("cancelled timer", ref)
                ours, theirs = socket.socketpair()
                a, ref = thing()
                loop.add_reader(ours, getattr(a, name), a)
                del a
                theirs.send(b"x")
                await asyncio.sleep(0.005)
                loop.remove_reader(ours)
                gone(f"reader {name}", ref)
                ours.close(), theirs.close()
            for fail in (False, True):
                a, ref = thing()
                task = loop.create_task(step(a, fail))
                task_ref = weakref.ref(task)
                del a
                await asyncio.wait([task])
                if fail:
                    task.exception()
                del task
                await asyncio.sleep(0)
                gone("argument of a task", ref)
                gone("task", task_ref)
            future = loop.create_future()
            ref = weakref.ref(future)
            del future
            gone("future", ref)

            class Protocol(asyncio.Protocol):
                def connection_lost(self, exc):
                    lost.append(1)

            lost, refs = [], []

            def factory():
                protocol = Protocol()
                refs.append(weakref.ref(protocol))
                return protocol

            server = await loop.create_server(factory, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_connection(factory, "127.0.0.1", port)
            refs.append(weakref.ref(transport))
            del _
            transport.close()
            del transport
            while len(lost) < 2:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.005)
            for reference in refs:
                gone("connection", reference)
            refs = [weakref.ref(server)]
            server.close()
            del server
            await asyncio.sleep(0.005)
            gone("server", refs[0])
            print(gc.collect() < 1000)

        uvloop.run(main())
        """,
        *("call_soon fail gone", "reader method gone", "connection gone", "server gone"),
    )
