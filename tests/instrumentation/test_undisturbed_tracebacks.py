"""What failing programs print: the same to the last line, whoever is watching."""

from undisturbed import Undisturbed


def test_a_failing_callback(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, os, signal, socket, threading, traceback

        def fail(where):
            raise ValueError(where)

        def handler(loop, context):
            print(sorted(context), context["message"])
            print("".join(traceback.format_exception(context["exception"])))
            print(repr(context["handle"]))

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(handler)
            loop.call_soon(fail, "soon")
            loop.call_later(0.001, fail, "later")
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=(fail, "thread"))
            thread.start()
            thread.join()
            await asyncio.sleep(0.01)
            ours, theirs = socket.socketpair()

            def reader():
                loop.remove_reader(ours)
                fail("reader")

            def writer():
                loop.remove_writer(ours)
                fail("writer")

            loop.add_reader(ours, reader)
            theirs.send(b"x")
            await asyncio.sleep(0.01)
            loop.add_writer(ours, writer)
            await asyncio.sleep(0.01)
            loop.add_signal_handler(signal.SIGUSR1, fail, "signal")
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0.01)
            loop.set_exception_handler(None)
            loop.call_soon(fail, "default")
            await asyncio.sleep(0.01)
            future = loop.create_future()
            future.add_done_callback(fail)
            future.set_result(1)
            await asyncio.sleep(0.01)
            ours.close(), theirs.close()

        asyncio.run(main())
        """,
        *("ValueError: soon", "ValueError: later", "ValueError: thread", "ValueError: reader"),
        *("ValueError: writer", "ValueError: signal", "ValueError: default"),
    )


def test_a_callback_that_ends_the_loop(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, traceback

        def leave(error):
            raise error

        for error in (KeyboardInterrupt("enough"), SystemExit(3)):
            loop = asyncio.new_event_loop()
            loop.call_soon(leave, error)
            try:
                loop.run_forever()
            except BaseException as caught:
                print("".join(traceback.format_exception(caught)))
            loop.close()

        async def task():
            raise SystemExit(4)

        asyncio.run(task())
        """,
        "KeyboardInterrupt: enough",
        "SystemExit: 3",
        "exit 4",
    )


def test_a_failing_task(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, gc, sys, traceback

        async def fail(depth=2):
            await asyncio.sleep(0)
            if depth:
                await fail(depth - 1)
            try:
                raise KeyError("cause")
            except KeyError as error:
                raise ValueError("task") from error

        def show(error):
            print("".join(traceback.format_exception(error)))

        async def main():
            loop = asyncio.get_running_loop()
            try:
                await asyncio.create_task(fail())
            except ValueError as error:
                show(error)
            try:
                await asyncio.gather(fail(), fail(0))
            except ValueError as error:
                show(error)
            for result in await asyncio.gather(fail(), fail(0), return_exceptions=True):
                show(result)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())
                    group.create_task(asyncio.sleep(10))
            except ExceptionGroup as error:
                show(error)
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(10)
            except TimeoutError as error:
                show(error)
            try:
                await asyncio.wait_for(loop.create_future(), 0.001)
            except TimeoutError as error:
                show(error)
            task = asyncio.create_task(asyncio.sleep(10))
            await asyncio.sleep(0)
            task.cancel("stop")
            try:
                await task
            except asyncio.CancelledError as error:
                show(error)
            try:
                await asyncio.shield(fail())
            except ValueError as error:
                show(error)
            if sys.version_info >= (3, 12):
                task = asyncio.eager_task_factory(loop, fail(0))
                try:
                    await task
                except ValueError as error:
                    show(error)

                async def at_once():
                    raise ValueError("eager")

                task = asyncio.Task(at_once(), loop=loop, eager_start=True)
                show(task.exception())
                task = asyncio.eager_task_factory(loop, at_once())
                show(task.exception())
                loop.set_task_factory(asyncio.create_eager_task_factory(asyncio.Task))
                task = asyncio.create_task(at_once())
                show(task.exception())
                for wrong in (5, fail):
                    try:
                        asyncio.Task(wrong, loop=loop, eager_start=True)
                    except TypeError as error:
                        show(error)
                    try:
                        asyncio.eager_task_factory(loop, wrong)
                    except TypeError as error:
                        show(error)
                loop.set_task_factory(None)
            try:
                asyncio.Task(5, loop=loop)
            except TypeError as error:
                show(error)
            never = asyncio.create_task(fail())
            await asyncio.wait([never])
            del never
            gc.collect()

        asyncio.run(main())
        """,
        *("ValueError: task", "KeyError: 'cause'", "ExceptionGroup", "TimeoutError", "stop"),
        "Task exception was never retrieved",
    )


def test_a_future_that_is_misused(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, gc, traceback

        def show(call, *args, **kwargs):
            try:
                call(*args, **kwargs)
            except BaseException as error:
                print("".join(traceback.format_exception(error)))

        async def main():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            show(future.result)
            stopping = loop.create_future()
            show(stopping.set_exception, StopIteration)
            if stopping.done():  # 3.13 and later
                print(repr(stopping.exception()))
            show(future.set_exception, "no exception")
            future.set_result(1)
            show(future.set_result, 2)
            show(future.set_exception, ValueError())
            print(future.cancel())
            show(asyncio.Future, loop=5)
            cancelled = asyncio.Future()
            cancelled.cancel(msg="gone")
            show(cancelled.result)
            show(cancelled.set_result, 1)
            failed = loop.create_future()
            failed.set_exception(ValueError("lost"))
            del failed
            gc.collect()
            await asyncio.sleep(0)
            gathered = asyncio.gather(asyncio.sleep(1), asyncio.sleep(1))
            gathered.cancel()
            try:
                await gathered
            except asyncio.CancelledError as error:
                print("".join(traceback.format_exception(error)))

        asyncio.run(main())
        show(asyncio.Future)
        """,
        *("InvalidStateError", "StopIteration", "CancelledError: gone"),
        "Future exception was never retrieved",
    )


def test_a_failing_thread(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import threading

        def fail():
            raise ValueError("target")

        class Own(threading.Thread):
            def run(self):
                raise ValueError("own run")

        class Calling(threading.Thread):
            def run(self):
                super().run()

        def run(thread):
            thread.start()
            thread.join()

        run(threading.Thread(target=fail, name="one"))
        run(Own(name="two"))
        run(Calling(target=fail, name="three"))
        run(threading.Timer(0.001, fail))
        set_on_it = threading.Thread(name="four")
        set_on_it.run = fail
        run(set_on_it)
        leaving = threading.Thread(target=exit, args=(5,))
        run(leaving)

        def show(call, *args):
            try:
                call(*args)
            except BaseException as error:
                import traceback
                print("".join(traceback.format_exception(error)))

        show(leaving.start)

        class Forgetful(threading.Thread):
            def __init__(self):
                pass

        show(Forgetful().start)
        show(threading.Thread.start)
        show(threading.Thread.start, 5)
        """,
        *("ValueError: target", "ValueError: own run", "once", "thread.__init__() not called"),
    )


def test_a_failing_job(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, concurrent.futures, traceback

        def fail(depth=1):
            if depth:
                fail(depth - 1)
            raise ValueError("job")

        def show(error):
            print("".join(traceback.format_exception(error)))

        class Inline(concurrent.futures.Executor):
            def submit(self, fn, /, *args, **kwargs):
                future = concurrent.futures.Future()
                try:
                    future.set_result(fn(*args, **kwargs))
                except Exception as error:
                    future.set_exception(error)
                return future

        class Refusing(concurrent.futures.Executor):
            def submit(self, fn, /, *args, **kwargs):
                raise RuntimeError(f"no {fn.__name__}, no {fn!r}")

        async def main():
            loop = asyncio.get_running_loop()
            pool = concurrent.futures.ThreadPoolExecutor(1)
            waiting = [
                lambda: asyncio.to_thread(fail),
                lambda: loop.run_in_executor(None, fail),
                lambda: loop.run_in_executor(pool, fail, 0),
                lambda: loop.run_in_executor(Inline(), fail, 0),
                lambda: loop.run_in_executor(Refusing(), fail, 0),
                lambda: loop.run_in_executor(5, fail, 0),
                lambda: loop.run_in_executor(None, 5),
                lambda: loop.run_in_executor(Inline(), 5),
                lambda: loop.run_in_executor(None),
                lambda: loop.getaddrinfo("nowhere.invalid", 1),
            ]
            for wait in waiting:
                try:
                    await wait()
                except Exception as error:
                    show(error)
            show(pool.submit(fail).exception())
            pool.shutdown()
            try:
                pool.submit(fail)
            except RuntimeError as error:
                show(error)
            loop.set_debug(True)
            loop.slow_callback_duration = 100
            for executor in (None, Inline()):
                for wrong in (5, main):
                    try:
                        await loop.run_in_executor(executor, wrong)
                    except TypeError as error:
                        show(error)

        asyncio.run(main())
        """,
        *("ValueError: job", "no fail, no <function fail", "after shutdown", "coroutines cannot"),
    )


def test_a_failing_connection(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, traceback

        def show(error):
            print("".join(traceback.format_exception(error)))

        def handler(loop, context):
            print(context["message"])
            show(context["exception"])

        def protocol(failing):
            def callback(self, *args):
                raise ValueError(failing)

            return type("Failing", (asyncio.Protocol,), {failing: callback})

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(handler)
            for failing in ("connection_made", "data_received", "eof_received", "connection_lost"):
                server = await loop.create_server(protocol(failing), "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"x")
                await asyncio.sleep(0.01)
                writer.close()
                await asyncio.sleep(0.01)
                server.close()
                try:
                    await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
                except OSError as error:
                    show(error)
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            try:
                await loop.create_server(asyncio.Protocol, "127.0.0.1", port)
            except OSError as error:
                print(type(error))
            try:
                await loop.create_connection(protocol("__init__"), "127.0.0.1", port)
            except ValueError as error:
                show(error)
            server.close()

            async def serve(reader, writer):
                raise ValueError("handler")

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.01)
            writer.close()
            server.close()
            await asyncio.sleep(0.01)
            try:
                await loop.create_connection(asyncio.Protocol)
            except ValueError as error:
                show(error)
            try:
                loop.create_connection()
            except TypeError as error:
                show(error)
            try:
                await asyncio.create_subprocess_exec("/nowhere/to/be/found")
            except FileNotFoundError as error:
                show(error)
            try:
                loop.add_reader(-1, print)
            except ValueError as error:
                show(error)
            try:
                loop.add_signal_handler(999, print)
            except ValueError as error:
                show(error)
            try:
                loop.add_signal_handler(10, main)
            except TypeError as error:
                show(error)
            try:
                loop.add_signal_handler()
            except TypeError as error:
                show(error)
            try:
                loop.close()
            except RuntimeError as error:
                show(error)
            try:
                loop.call_exception_handler()
            except TypeError as error:
                show(error)
            loop.set_exception_handler(None)
            loop.call_exception_handler({"message": "said by the program"})

        asyncio.run(main())
        """,
        *("ValueError: connection_made", "ValueError: data_received", "ValueError: eof_received"),
        *("ValueError: connection_lost", "ValueError: __init__", "ValueError: handler"),
        *("ConnectionRefusedError", "FileNotFoundError", "Cannot close a running event loop"),
    )
