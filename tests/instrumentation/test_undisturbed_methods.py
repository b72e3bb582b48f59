"""What programs do with asyncio's methods beyond calling them, and how they call them wrongly."""

import sys

import pytest
from undisturbed import Undisturbed

_METHODS = """
    import asyncio, copy, functools, inspect, pickle, weakref
    from unittest import mock

    def said(ask):
        try:
            return ask()
        except Exception as error:
            return type(error), error

    def mocked(owner, name):
        with mock.patch.object(owner, name, autospec=True) as double:
            looks = inspect.signature(double), inspect.iscoroutinefunction(double)
            return type(double), *looks, getattr(owner, name) is double

    loop = MAKE_LOOP()
    for name in (
        "create_connection",
        "create_server",
        "subprocess_exec",
        "close",
        "call_soon",
        "call_exception_handler",
        "add_signal_handler",
        "add_reader",
        "run_in_executor",
    ):
        function, method = getattr(type(loop), name), getattr(loop, name)
        print(name)
        print(said(lambda: weakref.WeakMethod(method)() == method))
        print(said(lambda: weakref.ref(function)() is function))
        print(said(lambda: inspect.signature(function)), said(lambda: inspect.signature(method)))
        print(inspect.isroutine(method), callable(method))
        print(inspect.iscoroutinefunction(method), asyncio.iscoroutinefunction(method))
        print(inspect.iscoroutinefunction(function), asyncio.iscoroutinefunction(function))
        print(said(lambda: copy.copy(function) is function))
        print(said(lambda: copy.deepcopy(function) is function))
        print(said(lambda: copy.copy(method) == method), method == getattr(loop, name))
        print(said(lambda: method.__func__.__name__))
        wrapping = functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs))
        print(wrapping.__qualname__, said(lambda: inspect.signature(wrapping)))
        print(wrapping.__wrapped__ is function)
        print(getattr(loop, name) == method, getattr(type(loop), name) is function)
        print(said(lambda: type(getattr(mock.create_autospec(loop, instance=True), name))))
"""


def test_how_methods_are_held_copied_and_mocked(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        _METHODS.replace("MAKE_LOOP", "asyncio.new_event_loop")
        + """
        print(type(method), said(lambda: method.__func__ is function))
        print(said(lambda: pickle.loads(pickle.dumps(function)) is function))
        print(said(lambda: method.__reduce__()[1][1]))
        print(said(lambda: mocked(loop, name)), said(lambda: mocked(type(loop), name)))
        print(said(function))
        print(said(lambda: function(loop, unknown=1)))
        print(said(lambda: method(unknown=1)))
    loop.close()
        """,
        *("create_connection\nTrue\nTrue\n(self, protocol_factory", "MagicMock", "True True"),
    )


def test_how_methods_of_uvloop_are_held_copied_and_mocked(undisturbed: Undisturbed) -> None:
    pytest.importorskip("uvloop")
    undisturbed.check(
        _METHODS.replace("MAKE_LOOP", "__import__('uvloop').new_event_loop") + "    loop.close()\n",
        *("create_connection\nTrue\nTrue\n", "AsyncMock"),
    )


def test_futures_called_with_the_wrong_number_of_arguments(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, traceback

        loop = asyncio.new_event_loop()
        future = loop.create_future()
        for wrong in (
            lambda: future.set_result(),
            lambda: future.set_result(1, 2),
            lambda: future.set_exception(),
            lambda: future.set_exception(1, 2, 3),
            lambda: future.set_exception(5),
            lambda: future.cancel(1, 2),
            lambda: asyncio.Future(1),
            lambda: asyncio.Future(1, loop=loop),
            lambda: asyncio.Future.set_result(future),
            lambda: asyncio.Future.set_result(5, 5),
        ):
            try:
                wrong()
            except Exception as error:
                print(type(error), error)
                traceback.print_exc()
            else:
                print("was taken")
            print(future)
        print(future.cancel("because"), future)
        loop.close()
        """,
        *("takes exactly", "at most 1 argument", "<Future pending>", "<Future cancelled>"),
    )


def test_how_classes_say_what_they_take(undisturbed: Undisturbed) -> None:
    """But for docstrings of C, which differ between builds."""
    tasks = "asyncio.Task, Task, Other," if sys.version_info >= (3, 12) else ""
    undisturbed.check(
        f"""
        import asyncio, inspect

        class Future(asyncio.Future):
            pass

        class Task(asyncio.Task):
            pass

        class Other(asyncio.Task):
            def __init__(self, coro, *, mark, **kwargs):
                super().__init__(coro, **kwargs)

        for each in ({tasks} asyncio.Future, Future, asyncio.Handle, asyncio.TimerHandle):
            print(each.__name__, inspect.signature(each))
        for name in ("set_result", "set_exception", "cancel"):
            print(inspect.signature(getattr(asyncio.Future, name)))
            print(getattr(asyncio.Future, name).__doc__)
        """,
        *("Future (*, loop=None)", "(self, /, msg=None)", "TimerHandle (when, callback, args"),
    )
