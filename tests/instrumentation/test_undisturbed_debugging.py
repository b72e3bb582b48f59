"""asyncio's own help for who debugs a program: says the same, whoever is watching."""

from undisturbed import Undisturbed


def test_debug_mode_names_the_places_of_creation(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, signal, socket, sys, threading

        def show(what, frames):
            print(what)
            for frame in frames:
                print("   ", frame.filename.rpartition("/")[2], frame.lineno, frame.name)

        def called():
            show("from a callback", asyncio.get_running_loop().call_soon(int)._source_traceback)
            task = asyncio.ensure_future(asyncio.sleep(0))
            show("task from a callback", task._source_traceback)

        class OwnFuture(asyncio.Future):
            pass

        class OwnTask(asyncio.Task):
            pass

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                task = asyncio.ensure_future(asyncio.sleep(0))
                show("from a protocol", task._source_traceback)
                transport.close()

        async def main():
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 100
            ours, theirs = socket.socketpair()
            show("reader", loop._add_reader(ours.fileno(), print)._source_traceback)
            show("writer", loop._add_writer(ours.fileno(), print)._source_traceback)
            loop.remove_reader(ours)
            loop.remove_writer(ours)
            ours.close(), theirs.close()
            loop.add_signal_handler(signal.SIGUSR1, print)
            show("signal", loop._signal_handlers[signal.SIGUSR1]._source_traceback)
            show("soon", loop.call_soon(int)._source_traceback)
            timer = loop.call_later(1, int)
            show("later", timer._source_traceback)
            timer.cancel()
            timer = loop.call_at(loop.time() + 1, int)
            show("at", timer._source_traceback)
            timer.cancel()
            show("threadsafe", loop.call_soon_threadsafe(int)._source_traceback)
            show("create_future", loop.create_future()._source_traceback)
            show("Future", asyncio.Future()._source_traceback)
            task = loop.create_task(asyncio.sleep(0))
            show("create_task", task._source_traceback)
            await task
            async with asyncio.TaskGroup() as group:
                show("TaskGroup", group.create_task(asyncio.sleep(0))._source_traceback)
            gathered = asyncio.gather(asyncio.sleep(0))
            show("gather", gathered._source_traceback)
            await gathered
            show("own future", OwnFuture()._source_traceback)
            task = OwnTask(asyncio.sleep(0), loop=loop)
            show("own task", task._source_traceback)
            await task
            show("run_in_executor", loop.run_in_executor(None, int)._source_traceback)
            loop.call_soon(called)
            await asyncio.sleep(0.01)
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            await loop.create_connection(Protocol, *server.sockets[0].getsockname())
            await asyncio.sleep(0.01)
            server.close()
            if sys.version_info >= (3, 12):
                task = asyncio.Task(asyncio.sleep(0), loop=loop, eager_start=True)
                show("eager", task._source_traceback)
                await task
                loop.set_task_factory(asyncio.eager_task_factory)
                show("eager factory", loop.create_task(asyncio.sleep(0))._source_traceback)
                custom = asyncio.create_eager_task_factory(asyncio.Task)
                loop.set_task_factory(custom)
                show("custom factory", loop.create_task(asyncio.sleep(0))._source_traceback)

                async def inside():
                    task = asyncio.create_task(asyncio.sleep(0))
                    show("in an eager task", task._source_traceback)

                await loop.create_task(inside())

        asyncio.run(main(), debug=True)
        """,
        *("from a callback", "from a protocol", "gather", "run_in_executor"),
    )


def test_debug_mode_tells_what_is_slow_or_wrong(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, gc, logging, threading, time, warnings

        logging.basicConfig(level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s")
        warnings.simplefilter("always")

        def slow():
            time.sleep(0.16)

        async def slow_step():
            time.sleep(0.16)

        async def never():
            pass

        def show(call, *args, **kwargs):
            try:
                call(*args, **kwargs)
            except Exception as error:
                print(type(error).__name__, error)

        def fail():
            raise ValueError("callback")

        async def fail_later():
            await asyncio.sleep(0)
            raise ValueError("task")

        async def for_ever():
            await asyncio.get_running_loop().create_future()

        async def main():
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 0.15
            loop.call_soon(slow)
            await asyncio.sleep(0)
            await asyncio.create_task(slow_step(), name="slow one")
            loop.call_later(0.001, slow)
            await asyncio.sleep(0.2)
            loop.slow_callback_duration = 100
            show(loop.call_soon, 5)
            show(loop.call_soon, never)
            show(loop.call_later, 1, 5)
            show(loop.call_at, 1, never)
            show(loop.call_soon_threadsafe, 5)
            show(loop.call_later, None, print)
            coroutine = never()
            show(loop.call_soon, coroutine)
            coroutine.close()
            thread = threading.Thread(target=show, args=(loop.call_soon, print))
            thread.start()
            thread.join()
            loop.call_soon(fail)
            task = asyncio.create_task(fail_later(), name="failing")
            await asyncio.wait([task])
            del task
            gc.collect()
            future = loop.create_future()
            future.set_exception(ValueError("future"))
            del future
            gc.collect()
            task = asyncio.create_task(for_ever(), name="destroyed")
            await asyncio.sleep(0)
            del task
            gc.collect()
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            transport.close()
            server.close()

        asyncio.run(main(), debug=True)
        loop = asyncio.new_event_loop()
        loop.set_debug(True)
        task = loop.create_task(fail_later(), name="pending")
        loop.run_until_complete(asyncio.sleep(0))
        loop.call_soon(print)
        loop.close()
        del task
        gc.collect()
        show(loop.call_soon, print)
        show(loop.run_until_complete, None)
        never()
        gc.collect()
        """,
        *("Executing <Task finished name='slow one'", "Executing <Handle slow() at", "created at"),
        *("a callable object was expected", "Non-thread-safe operation", "was never awaited"),
        *("Task was destroyed but it is pending", "exception was never retrieved", "is closed"),
    )


def test_what_is_left_unclosed_is_warned_of(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, gc, warnings

        gc.disable()  # when it runs by itself depends on how much is allocated
        warnings.simplefilter("always")

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                warnings.warn(f"of {data}", stacklevel=1)

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_connection(Protocol, "127.0.0.1", port)
            transport.write(b"x")
            await asyncio.sleep(0.01)

        asyncio.run(main())
        gc.collect()
        loop = asyncio.new_event_loop()
        del loop
        gc.collect()
        """,
        *("unclosed transport <_SelectorSocketTransport", "unclosed event loop", "of b'x'"),
    )


def test_coroutines_that_are_never_awaited_are_warned_of_as_ever(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, sys, warnings

        async def never():
            pass

        def forget():
            never()

        class Odd:
            def __del__(self):
                never()

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_soon(forget)
            loop.call_later(0, forget)
            await asyncio.create_task(asyncio.sleep(0.01))
            forget()
            Odd()

        for action in ("always", "default", "ignore"):
            warnings.simplefilter(action)
            # Debug mode sets it to ten, of which one is ours.
            for depth in (0, 30):
                sys.set_coroutine_origin_tracking_depth(depth)
                asyncio.run(main())
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as caught:
            forget()
        print(caught[0].category, caught[0].message, caught[0].lineno, caught[0].source)
        warnings.simplefilter("error")
        sys.unraisablehook = lambda failed: print(type(failed.exc_value), failed.exc_value)
        forget()
        """,
        *("was never awaited", "Coroutine created at (most recent call last)", "in forget"),
    )
