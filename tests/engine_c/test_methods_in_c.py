"""Methods in C that stand in a class in place of others: they look and act like them."""

import copy
import functools
import gc
import inspect
import io
import pickle
import types
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from whence.engine import twin
from whence.instrumentation.patching import Patches, is_method, is_patched, looks_like

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

from whence.engine.methods import Method
from whence.engine.protocols import as_transport


class Told:
    """A protocol of the program's."""

    def data_received(self, data: bytes, /, *more: int, key: str = "k") -> tuple[Any, ...]:
        """Take it."""
        return self, data, more, key

    def eof_received(self) -> None:
        """Fail."""
        raise LookupError("on purpose")


@pytest.fixture
def patches() -> Iterator[Patches]:
    patches = Patches()
    yield patches
    patches.undo()


@pytest.fixture
def patched(patches: Patches) -> Any:
    """`Told`, with a method of ours in place of `data_received`."""
    put(patches, Told, "data_received")
    return Told


def put(patches: Patches, owner: type, name: str) -> Any:
    original = inspect.getattr_static(owner, name)
    new = looks_like(original)(as_transport(original))
    assert type(new) is Method
    assert patches.replace(owner, name, new)
    return new


def test_it_takes_and_gives_what_the_original_does(patched: Any) -> None:
    told = patched()
    assert told.data_received(b"x") == (told, b"x", (), "k")
    assert told.data_received(b"x", 1, 2, key="l") == (told, b"x", (1, 2), "l")
    assert patched.data_received(told, b"x") == (told, b"x", (), "k")
    assert functools.partial(told.data_received, b"x")() == (told, b"x", (), "k")
    with pytest.raises(TypeError, match=r"data_received\(\) missing 1 required positional"):
        told.data_received()
    with pytest.raises(TypeError, match="unexpected keyword argument 'no'"):
        told.data_received(b"x", no=1)
    with pytest.raises(TypeError, match="missing 2 required positional"):
        patched.data_received()


def test_what_the_original_raises_shows_the_program_alone(patches: Patches) -> None:
    put(patches, Told, "eof_received")
    with pytest.raises(LookupError, match="on purpose") as caught:
        Told().eof_received()
    assert [str(entry.path) for entry in caught.traceback] == [__file__, __file__]


def test_it_answers_as_the_original(patches: Patches) -> None:
    original: Any = vars(Told)["data_received"]
    ours: Any = put(patches, Told, "data_received")
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(ours, name) == getattr(original, name)
    for name in ("__code__", "__defaults__", "__kwdefaults__", "__globals__", "__class__"):
        assert getattr(ours, name) is getattr(original, name) or name == "__kwdefaults__"
    assert repr(ours) == repr(original)
    assert inspect.signature(ours) == inspect.signature(original)
    assert list(inspect.signature(Told().data_received).parameters) == ["data", "more", "key"]
    assert inspect.isfunction(ours)
    assert inspect.ismethod(Told().data_received)
    assert isinstance(Told().data_received, types.MethodType)
    assert not inspect.iscoroutinefunction(ours)
    assert inspect.unwrap(ours) is ours
    assert inspect.getsource(ours) == inspect.getsource(original)
    assert is_patched(ours)
    assert is_method(ours)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ours.nothing_of_the_kind  # noqa: B018


def test_without_inspect_it_has_a_signature_all_the_same() -> None:
    undressed = as_transport(vars(Told)["data_received"])
    assert inspect.signature(undressed) == inspect.signature(vars(Told)["data_received"])


def test_it_is_copied_and_pickled_by_name(patched: Any) -> None:
    method = vars(patched)["data_received"]
    assert pickle.loads(pickle.dumps(method)) is method
    assert copy.copy(method) is method
    assert copy.deepcopy(method) is method


told = Told()


def test_a_bound_one_is_copied_compared_and_referred_to_like_any(patched: Any) -> None:
    told = patched()
    assert told.data_received == told.data_received
    assert hash(told.data_received) == hash(told.data_received)
    assert told.data_received != patched().data_received
    assert weakref.WeakMethod(told.data_received)() == told.data_received
    assert copy.copy(told.data_received)(b"x")[1] == b"x"
    assert weakref.ref(vars(patched)["data_received"])() is vars(patched)["data_received"]


def test_derived_classes_override_and_call_it(patched: Any) -> None:
    class Derived(patched):  # type: ignore[misc]
        def data_received(self, data: bytes, /, *more: int, key: str = "k") -> tuple[Any, ...]:
            return ("derived", *super().data_received(data, *more, key=key))

        also = patched.data_received

    derived = Derived()
    assert derived.data_received(b"x") == ("derived", derived, b"x", (), "k")
    assert derived.also(b"x") == (derived, b"x", (), "k")


def test_a_test_may_mock_it(patched: Any) -> None:
    with mock.patch.object(patched, "data_received", autospec=True) as received:
        told = patched()
        told.data_received(b"x", key="y")
        received.assert_called_once_with(told, b"x", key="y")
        with pytest.raises(TypeError):
            told.data_received()
    assert isinstance(vars(patched)["data_received"], Method)


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [("write", (b"x",), 1), ("__len__", (), 5)],
    ids=["a method in C", "a slot"],
)
def test_methods_that_are_no_functions_are_bound_first(
    name: str, args: tuple[Any, ...], result: int
) -> None:
    class Writing(io.BytesIO):
        """A protocol whose methods come from a class made in C."""

    class Counting(list[int]):
        """The same, of one that is a slot."""

    owner, instance = (Writing, Writing()) if name == "write" else (Counting, Counting(range(5)))
    patches = Patches()
    put(patches, owner, name)
    assert getattr(instance, name)(*args) == result
    patches.undo()
    assert name not in vars(owner)


def test_it_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Method()


def test_a_class_and_its_method_go_together() -> None:
    class Short(Told):
        def data_received(self, data: bytes, /, *more: int, key: str = "k") -> tuple[Any, ...]:
            return (__class__, *super().data_received(data))  # type: ignore[name-defined]

    patches = Patches()
    put(patches, Short, "data_received").more = Short
    reference = weakref.ref(Short)
    del Short
    gc.collect()
    assert reference() is None
    patches.undo()


def test_only_those_are_looked_at_whose_id_is_in_a_dict(patches: Patches) -> None:
    seen: list[object] = []
    among: dict[int, object] = {}
    looked_at, other = Told(), Told()
    patches.precede(Told, "data_received", lambda told, data: seen.append(told), among)
    looked_at.data_received(b"")
    among[id(looked_at)] = None
    assert looked_at.data_received(b"a") == (looked_at, b"a", (), "k")
    assert other.data_received(b"b") == (other, b"b", (), "k")
    with pytest.raises(TypeError):
        Told.data_received()  # type: ignore[call-arg]
    del among[id(looked_at)]
    looked_at.data_received(b"")
    assert seen == [looked_at]
