"""What programs see of asyncio's and threading's own objects: as if nobody watched."""

from undisturbed import Undisturbed


def test_how_objects_show_themselves(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, functools, socket, threading

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
                loop.close,
                loop.create_future().cancel,
                threading.Event().set,
                threading.Thread().start,
                threading.Thread().run,
            )
            for debug in (False, True):
                loop.set_debug(debug)
                loop.slow_callback_duration = 100
                for each in callbacks:
                    handle = loop.call_soon(each)
                    print(handle, handle._callback == each, handle._args, type(handle))
                    handle.cancel()
                    print(handle, handle.cancelled(), handle._callback)
                    timer = loop.call_later(10, each)
                    print(timer, timer._callback == each, type(timer))
                    print(isinstance(timer, asyncio.Handle))
                    timer.cancel()
                    print(timer)
                handle = loop.call_soon(callback, 1, 2)
                await asyncio.sleep(0)
                print(handle)
                future = loop.create_future()
                print(future, type(future))
                future.add_done_callback(callback)
                future.add_done_callback(instance.method)
                print(future, future._callbacks)
                future.set_result(5)
                print(future)
                failed = asyncio.Future()
                failed.set_exception(ValueError(5))
                print(failed, failed.exception())
                cancelled = asyncio.Future()
                cancelled.cancel()
                print(cancelled)
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
                print(gathered)
                print(asyncio.all_tasks())
            ours, theirs = socket.socketpair()
            print(loop._add_reader(ours.fileno(), callback, 1))
            print(loop._add_writer(ours.fileno(), callback, 1))
            loop.remove_reader(ours)
            loop.remove_writer(ours)
            ours.close(), theirs.close()
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            print(type(server), server.sockets[0].type)
            port = server.sockets[0].getsockname()[1]
            transport, protocol = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            print(transport, type(protocol).__mro__)
            transport.close()
            await asyncio.sleep(0)
            print(transport)
            server.close()
            process = await asyncio.create_subprocess_exec("true")
            print(type(process), process._transport)
            await process.wait()
            print(loop)
            thread = threading.Thread(target=callback, name="thread")
            print(thread.name, thread.run, vars(thread).keys())
            thread.start()
            thread.join()
            for other in threading.enumerate():  # asyncio's, which waited for the process
                if other is not threading.main_thread():
                    other.join()
            print(thread.is_alive(), threading.active_count(), threading.enumerate())

        asyncio.run(main())
        """,
        *("<Handle callback(1, 2) at", "created at", "<Future pending cb=[", "_GatheringFuture"),
        *("<Handle Callable.method()", "cancelling name='named'", "read=polling", "MainThread"),
    )


def test_how_functions_show_themselves(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, concurrent.futures.process, inspect, threading, weakref
        from asyncio import base_subprocess, selector_events, sslproto, unix_events

        class Protocol(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                "What came."

            def connection_made(self, transport, *, extra=5):
                pass

        class Thread(threading.Thread):
            def run(self, how: int = 5) -> int:
                "Run."
                return how

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_connection(Protocol, "127.0.0.1", port)
            await asyncio.sleep(0)
            transport.close()
            server.close()

        asyncio.run(main())
        thread = Thread()
        thread.start()
        thread.join()

        loop = asyncio.SelectorEventLoop
        for function in (
            loop.close,
            loop.call_soon,
            loop.create_connection,
            loop.create_unix_connection,
            loop.create_server,
            loop.run_in_executor,
            loop.add_reader,
            loop._add_reader,
            loop.add_signal_handler,
            loop.remove_signal_handler,
            loop.call_exception_handler,
            asyncio.base_events.Server.close,
            asyncio.base_events.Server.__init__,
            selector_events._SelectorTransport.__init__,
            selector_events._SelectorTransport.set_protocol,
            unix_events._UnixReadPipeTransport.__init__,
            sslproto.SSLProtocol.connection_lost,
            base_subprocess.BaseSubprocessTransport._process_exited,
            concurrent.futures.process.ProcessPoolExecutor.submit,
            asyncio.streams.StreamReaderProtocol.data_received,
            threading.Thread.start,
            threading.Thread.run,
            threading.Timer.run,
            Protocol.data_received,
            Protocol.connection_made,
            Thread.run,
            getattr(asyncio, "create_eager_task_factory", print),
        ):
            print(
                function.__name__,
                function.__qualname__,
                function.__module__,
                function.__doc__,
                getattr(function, "__annotations__", None),
                inspect.iscoroutinefunction(function),
                inspect.isfunction(function),
                callable(function),
                isinstance(function, type(main)),
            )
            try:
                print(inspect.signature(function))
            except ValueError as error:
                print(error)
        bound = asyncio.new_event_loop()
        for name in ("create_connection", "close", "run_in_executor", "add_signal_handler"):
            method = getattr(bound, name)
            print(
                inspect.iscoroutinefunction(method),
                inspect.ismethod(method),
                inspect.signature(method),
                method.__self__ is bound,
                method == getattr(bound, name),
                hash(method) == hash(getattr(bound, name)),
                name == "create_connection" or weakref.WeakMethod(method)() == method,
            )
        bound.close()
        for cls in (asyncio.Future, asyncio.Task, asyncio.Handle, asyncio.TimerHandle):
            print(cls, cls.__name__, cls.__qualname__, cls.__module__, cls.__doc__)
            print(isinstance(cls, type))
        """,
        *("create_connection", "True True True", "(self, data: bytes) -> None", "What came."),
    )


def test_what_tests_put_in_the_place_of_objects(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, inspect, threading
        from unittest import mock

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                print(data)

        async def main():
            loop = asyncio.get_running_loop()
            for name in ("create_connection", "create_server", "run_in_executor", "close"):
                for autospec in (False, True):
                    with mock.patch.object(loop, name, autospec=autospec or None) as fake:
                        print(name, type(fake).__name__, inspect.iscoroutinefunction(fake))
                        try:
                            result = fake(1, 2, 3)
                            if inspect.isawaitable(result):
                                result = await result
                            print(type(result).__name__)
                        except TypeError as error:
                            print(error)
                        print(getattr(loop, name).mock_calls)
                print(type(vars(loop).get(name)))
            with mock.patch("asyncio.base_events.Server.close") as close:
                server = await loop.create_server(Protocol, "127.0.0.1", 0)
                server.close()
                print(close.mock_calls)
            server.close()
            with mock.patch.object(Protocol, "data_received") as received:
                server = await loop.create_server(Protocol, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
                transport.write(b"x")
                await asyncio.sleep(0.01)
                print(received.mock_calls)
                transport.close()
                server.close()
            await asyncio.sleep(0.01)
            protocol = mock.Mock(spec=asyncio.Protocol)
            server = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            transport.write(b"x")
            await asyncio.sleep(0.01)
            transport.close()
            await asyncio.sleep(0.01)
            server.close()
            print([call[0] for call in protocol.mock_calls])
            with mock.patch.object(threading.Thread, "run") as run:
                thread = threading.Thread(target=print)
                thread.start()
                thread.join()
                print(run.mock_calls)
            with mock.patch.object(threading.Thread, "start", autospec=True) as start:
                threading.Thread(target=print).start()
                print(start.call_count)
            with mock.patch("threading.Thread") as fake:
                threading.Thread(target=print).start()
                print(fake.mock_calls)
            with mock.patch("asyncio.events.Handle") as handle:
                loop.call_soon(print, 5)
                print(handle.mock_calls)
                loop._ready.clear()
            spec = mock.create_autospec(asyncio.Future)
            print(isinstance(spec(), asyncio.Future))
            print(isinstance(mock.Mock(spec=asyncio.Future), asyncio.Future))

        asyncio.run(main())
        thread = threading.Thread(target=print, args=("started",))
        thread.start()
        thread.join()
        """,
        *("AsyncMock", "connection_made", "data_received", "started"),
    )


def test_what_programs_derive_from_asyncios_classes(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import abc, asyncio, copy, pickle, threading, typing

        class Future(asyncio.Future):
            def __init__(self, *, loop=None):
                super().__init__(loop=loop)
                self.mine = []

            def set_result(self, value):
                super().set_result(value * 2)

        class Abstract(asyncio.Future, abc.ABC):
            @abc.abstractmethod
            def f(self): ...

        class Concrete(Abstract):
            def f(self): ...

        T = typing.TypeVar("T")

        class Typed(asyncio.Future[T], typing.Generic[T]):
            pass

        class Task(asyncio.Task):
            pass

        class Handle(asyncio.Handle):
            pass

        async def main():
            loop = asyncio.get_running_loop()
            future = Future()
            print(future, isinstance(future, asyncio.Future), asyncio.isfuture(future))
            loop.call_soon(future.set_result, 4)
            print(await future, future.mine)
            try:
                Abstract()
            except TypeError as error:
                print("abstract")
            print(Concrete(), Typed(), Typed[int](), asyncio.Future[int])
            before = asyncio.futures._CFuture(loop=loop)
            print(isinstance(before, asyncio.Future), isinstance(5, asyncio.Future))
            print(issubclass(Future, asyncio.Future), issubclass(asyncio.Task, asyncio.Future))
            print(issubclass(int, asyncio.Future), isinstance(asyncio.current_task(), asyncio.Task))
            loop.set_task_factory(lambda loop, coro, **kwargs: Task(coro, loop=loop, **kwargs))
            task = loop.create_task(asyncio.sleep(0, "result"), name="x")
            print(task, isinstance(task, asyncio.Task), type(task) is Task, await task)
            own = Handle(print, ("ran",), loop)
            loop._ready.append(own)
            await asyncio.sleep(0)
            print(asyncio.tasks._PyTask, asyncio.futures._PyFuture(loop=loop))
            print(await asyncio.tasks._PyTask(asyncio.sleep(0, "python task"), loop=loop))
            for wrong in (copy.copy, pickle.dumps):
                try:
                    wrong(loop.create_future())
                except TypeError as error:
                    print(type(error))
            timer = loop.call_later(10, print)
            again = loop.call_at(timer.when(), print)
            print(timer == again, timer <= again, timer < again, hash(timer) == hash(again))
            timer.cancel(), again.cancel()
            print(timer == again)
            future = loop.create_future()
            future.anything = 5
            print(future.anything, future._state, future.get_loop() is loop)

        asyncio.run(main())
        """,
        *("<Future pending>", "python task", "<class 'TypeError'>"),
    )
