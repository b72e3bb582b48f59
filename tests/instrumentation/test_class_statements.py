"""Class statements: they build what they would without a hook, and nobody is in between."""

import asyncio
import builtins
import sys
import types
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import pytest
from stories import new_loop, story
from undisturbed import Undisturbed

from whence import create_hook
from whence.testing import record

T = TypeVar("T")


class Own(type):
    """A metaclass that knows nothing of asyncio's classes."""

    made_in: str = ""

    def __new__(mcs, *args: Any, **kwargs: Any) -> Any:
        cls = super().__new__(mcs, *args, **kwargs)
        cls.made_in = sys._getframe(1).f_code.co_name
        return cls


class Mixin(metaclass=Own):
    """Brings it along."""


@pytest.fixture
def hook() -> Iterator[None]:
    with create_hook(init=lambda *_: None):
        yield


def test_a_future_with_a_metaclass_of_the_programs_is_built_and_seen() -> None:
    with new_loop() as loop, record() as events:

        class Promise(asyncio.Future[int], metaclass=Own):
            pass

        Promise(loop=loop).set_result(5)
    assert type(Promise) is Own
    assert story(events, "Future") == [
        "init Future1 Future by top",
        "promise_resolve Future1",
        "destroy Future1",
    ]


def test_bases_of_every_form_are_taken(hook: None) -> None:
    stock = asyncio.futures._CFuture  # type: ignore[attr-defined]
    future = asyncio.Future
    by_keyword: dict[str, Any] = {"metaclass": Own}

    class Plain(asyncio.Future, Mixin):  # type: ignore[type-arg,metaclass]
        pass

    class Typed(asyncio.Future[T], Generic[T], Mixin):  # type: ignore[metaclass]
        pass

    class Unpacked(*(asyncio.Future, Mixin), **by_keyword):  # type: ignore[misc]
        pass

    class OfTask(asyncio.Task, Mixin):  # type: ignore[type-arg,metaclass]
        pass

    class OfLocal(future):  # type: ignore[misc,valid-type]
        pass

    made_by_function = types.new_class("Made", (asyncio.Future,))
    assert Plain.__bases__ == (stock, Mixin)
    assert Typed.__bases__ == (stock, Generic, Mixin)
    assert Unpacked.__bases__ == (stock, Mixin)
    assert OfTask.__bases__[1] is Mixin
    assert {type(c) for c in (Plain, Typed, Unpacked, OfTask)} == {Own}
    assert (OfLocal.__bases__, type(OfLocal)) == ((stock,), type)
    assert (made_by_function.__bases__, type(made_by_function)) == ((stock,), type)


def test_a_name_beyond_the_first_256_is_found(hook: None) -> None:
    names = "\n".join(f"name{i} = {i}" for i in range(700))
    space: dict[str, Any] = {"Own": Own}
    exec(f"{names}\nimport asyncio\nclass X(asyncio.Future, metaclass=Own): pass\n", space)
    assert type(space["X"]) is Own


def test_a_class_that_names_none_of_them_is_built_by_nobody_but_python(hook: None) -> None:
    callers = []

    class Task(metaclass=Own):
        callers.append(sys._getframe(1).f_code.co_name)

    class Future(Task, Mixin):
        Future = 5

    class Derived(Future):
        pass

    here = "test_a_class_that_names_none_of_them_is_built_by_nobody_but_python"
    assert callers == [here]
    assert [Task.made_in, Future.made_in, Derived.made_in] == [here] * 3


def test_a_statement_that_is_refused_is_refused_as_ever(hook: None) -> None:
    class Other(type):
        pass

    with pytest.raises(TypeError, match="metaclass conflict"):

        class Both(asyncio.Future, Mixin, metaclass=Other):  # type: ignore[type-arg,metaclass]
            pass

    with pytest.raises(ZeroDivisionError) as failed:

        class Failing(asyncio.Future):  # type: ignore[type-arg]
            x = 1 / 0

    assert {str(entry.path) for entry in failed.traceback} == {__file__}


def test_what_builds_classes_is_put_back() -> None:
    before = builtins.__build_class__
    with create_hook(init=lambda *_: None):
        during: Any = builtins.__build_class__
        assert during is not before
        assert repr(during) == repr(before)
        assert (during.__name__, during.__doc__) == (before.__name__, before.__doc__)
    assert builtins.__build_class__ is before

    class Later(asyncio.Future, metaclass=Own):  # type: ignore[type-arg]
        pass

    assert type(Later) is Own


def test_classes_of_every_kind_are_what_they_are_without_us(undisturbed: Undisturbed) -> None:
    undisturbed.check(
        """
        import asyncio, dataclasses, enum, sys, typing, warnings

        class Meta(type):
            def __new__(mcs, name, bases, namespace, **keywords):
                print(name, bases, keywords)
                return super().__new__(mcs, name, bases, namespace)

            def __init__(cls, name, bases, namespace, **keywords):
                print("init", cls, bases)

            @classmethod
            def __prepare__(mcs, name, bases, **keywords):
                print("prepare", name, bases)
                return {}

        class Base:
            def __init_subclass__(cls, **keywords):
                warnings.warn("derived", stacklevel=2)

        class Derived(Base):
            pass

        class Colour(enum.Enum):
            RED = 1

        class Row(typing.NamedTuple):
            task: "asyncio.Task"

        @dataclasses.dataclass
        class Task:
            future: asyncio.Future | None = None

        class Cell(Task):
            def cell(self):
                return __class__, super().__repr__()

        class Future(asyncio.Future, metaclass=Meta, keyword=5):
            def cell(self):
                return __class__

        class Again(Future):
            pass

        loop = asyncio.new_event_loop()
        print(Derived, Colour.RED, Row(5), Task(), Cell().cell(), Future(loop=loop).cell())
        print(Again.__mro__, type(Again), Again.__module__, Again.__qualname__)
        print(__build_class__, __build_class__.__name__, callable(__build_class__))
        for wrong in ((), (5,), (5, 5), (lambda: None,)):
            try:
                __build_class__(*wrong)
            except TypeError as error:
                print(error)
        loop.close()
        """,
        *("UserWarning: derived", "{'keyword': 5}", "not enough arguments"),
    )


def test_a_class_in_a_class_whose_namespace_is_the_programs_own(hook: None) -> None:
    asked: list[str] = []

    class Namespace(dict[str, Any]):
        def get(self, name: str, default: object = None) -> object:
            asked.append(name)
            raise ZeroDivisionError(name)

    class Prepared(type):
        @classmethod
        def __prepare__(mcs, *args: Any, **kwargs: Any) -> Namespace:
            return Namespace()

    class Outer(metaclass=Prepared):
        from asyncio import Future

        class Inner(Future):  # type: ignore[type-arg]
            pass

    assert Outer.Inner.__name__ == "Inner"
    assert asked == []
