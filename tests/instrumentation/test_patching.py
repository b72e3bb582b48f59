"""Patches: what is put in place, and the very same objects put back."""

import gc
import inspect
import traceback
import weakref
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest

from whence.instrumentation.patching import (
    Patches,
    calling,
    is_method,
    is_patched,
    leave_traceback,
    looks_like,
)
from wrapping import of_ours, through


class Base:
    def inherited(self) -> str:
        return "inherited"


class Owner(Base):
    def method(self, a: int, b: str = "b", *, c: bool = False) -> tuple[int, str, bool]:
        """What it says."""
        return a, b, c

    def fail(self) -> None:
        raise ValueError("on purpose")

    async def coroutine(self, a: int) -> int:
        return a


@pytest.fixture
def owner() -> type[Owner]:
    """A class for one test alone."""
    return type("Owner", (Base,), dict(vars(Owner)))


around = of_ours("""
async def wrapper(wrapped, instance, args, kwargs):
    return await wrapped(*args, **kwargs)
""")


def test_an_attribute_is_replaced_and_the_very_same_object_put_back(owner: type[Owner]) -> None:
    before = vars(owner)["method"]
    patches = Patches()
    assert patches.replace(owner, "method", replacement := lambda self: "new")
    assert vars(owner)["method"] is replacement
    patches.undo()
    assert vars(owner)["method"] is before


def test_an_inherited_attribute_is_deleted_again(owner: type[Owner]) -> None:
    patches = Patches()
    assert patches.replace(owner, "inherited", lambda self: "new")
    assert owner().inherited() == "new"
    patches.undo()
    assert "inherited" not in vars(owner)
    assert owner().inherited() == "inherited"


def test_an_attribute_of_a_module_is_replaced_and_put_back() -> None:
    module: Any = ModuleType("module")
    before = module.value = object()
    patches = Patches()
    patches.replace(module, "value", type("New", (), {}))
    assert module.value is not before
    patches.undo()
    assert module.value is before


def test_what_is_not_there_is_left_alone(owner: type[Owner]) -> None:
    patches = Patches()
    assert not patches.replace(owner, "absent", lambda self: None)
    patches.wrap(owner, "absent", through)
    assert not hasattr(owner, "absent")
    patches.undo()
    assert not hasattr(owner, "absent")


def test_a_class_that_takes_no_patch_is_left_alone() -> None:
    patches = Patches()
    assert not patches.replace(dict, "get", lambda self, key: None)
    patches.undo()
    assert {1: 2}.get(1) == 2


def test_patches_of_patches_are_put_back_last_first(owner: type[Owner]) -> None:
    before = vars(owner)["method"]
    patches = Patches()
    patches.replace(owner, "method", lambda self: "first")
    patches.wrap(owner, "method", lambda wrapped, *_: wrapped() + " and second")
    assert owner().method() == "first and second"  # type: ignore[call-arg, comparison-overlap]
    patches.undo()
    assert vars(owner)["method"] is before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_instrumentations_of_one_method_are_undone_in_any_order(
    owner: type[Owner], order: tuple[int, ...]
) -> None:
    before = vars(owner)["method"]
    three = [Patches() for _ in range(3)]
    for patches in three:
        patches.wrap(owner, "method", through)
    for number in order:
        assert owner().method(1) == (1, "b", False)
        three[number].undo()
    assert vars(owner)["method"] is before


def test_what_somebody_puts_on_top_stays_and_what_is_below_does_nothing(
    owner: type[Owner],
) -> None:
    calls: list[str] = []

    def counting(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append("ours")
        return wrapped(*args, **kwargs)

    patches = Patches()
    patches.wrap(owner, "method", counting)
    ours = owner.method

    def on_top(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append("on top")
        return ours(self, *args, **kwargs)

    owner.method = on_top  # type: ignore[method-assign]
    patches.undo()
    assert owner.method is on_top
    assert owner().method(1) == (1, "b", False)
    assert calls == ["on top"]
    again = Patches()
    again.wrap(owner, "method", counting)
    owner().method(1)
    assert calls == ["on top", "ours", "on top"]
    again.undo()
    assert owner.method is on_top


def test_functions_of_modules_and_static_and_class_methods_are_wrapped_too(
    owner: type[Owner],
) -> None:
    module: Any = ModuleType("module")
    module.work = lambda a, b=2: (a, b)
    owner.static = staticmethod(lambda a: ("static", a))  # type: ignore[attr-defined]
    owner.of_class = classmethod(lambda cls, a: (cls, a))  # type: ignore[attr-defined]
    places = [(module, "work"), (owner, "static"), (owner, "of_class")]
    before = [vars(target)[name] for target, name in places]
    patches = Patches()
    for target, name in places:
        patches.wrap(target, name, through)
    assert module.work(1) == (1, 2)
    of: Any
    for of in (owner, owner()):
        assert of.static(1) == ("static", 1)
        assert of.of_class(1) == (owner, 1)
    patches.undo()
    assert [vars(target)[name] for target, name in places] == before


def test_what_takes_no_weak_reference_is_replaced_and_put_back_as_well() -> None:
    module: Any = ModuleType("module")
    before = module.value = "old"
    patches = Patches()
    assert patches.replace(module, "value", "new")
    assert module.value == "new"
    patches.undo()
    assert module.value is before


def test_undoing_twice_is_undoing_once(owner: type[Owner]) -> None:
    before = vars(owner)["method"]
    patches = Patches()
    patches.wrap(owner, "method", through)
    undone: list[int] = []
    patches.on_undo(lambda: undone.append(1))
    patches.undo()
    patches.undo()
    assert vars(owner)["method"] is before
    assert undone == [1]


def run_to_its_end(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


@pytest.mark.parametrize("name", ["method", "coroutine"])
def test_a_method_that_is_looked_at_before_is_given_the_same_and_looks_the_same(
    owner: type[Owner], name: str
) -> None:
    before: Any = vars(owner)[name]
    seen: list[Any] = []
    patches = Patches()
    patches.precede(owner, name, lambda *args, **kwargs: seen.append((args, kwargs)))
    instance = owner()
    result = getattr(instance, name)(a=5)
    assert seen == [((instance,), {"a": 5})]
    assert (run_to_its_end(result) if name == "coroutine" else result[0]) == 5
    for of in (vars(owner)[name], getattr(instance, name)):
        assert inspect.signature(of).parameters.keys() <= {"self", "a", "b", "c"}
        assert inspect.iscoroutinefunction(of) is inspect.iscoroutinefunction(before)
        assert of.__qualname__ == before.__qualname__
    patches.undo()
    assert vars(owner)[name] is before


def test_an_async_def_is_taken_over_until_that_is_undone(owner: type[Owner]) -> None:
    before: Any = vars(owner)["coroutine"]

    def doubling(original: Any, in_force: list[bool]) -> Any:
        async def take(self: Any, a: int) -> Any:
            return await original(self, a) * (2 if in_force[0] else 1)

        return take

    patches = Patches()
    patches.take_over(owner, "coroutine", doubling)
    taken: Any = owner.coroutine
    assert inspect.iscoroutinefunction(taken)
    assert (taken.__qualname__, taken.__doc__) == ("Owner.coroutine", before.__doc__)
    assert run_to_its_end(owner().coroutine(5)) == 10
    patches.undo()
    assert vars(owner)["coroutine"] is before
    assert run_to_its_end(taken(owner(), 5)) == 5


def test_what_is_no_async_def_is_not_taken_over(owner: type[Owner]) -> None:
    patches = Patches()
    for name in ("method", "missing"):
        patches.take_over(owner, name, lambda original, in_force: original)
    assert list(patches.skipped.values()) == ["no async def", "absent"]
    assert vars(owner)["method"] is vars(Owner)["method"]


@pytest.mark.parametrize("name", ["method", "coroutine"])
def test_a_wrapped_method_looks_like_the_one_it_wraps(owner: type[Owner], name: str) -> None:
    before: Any = vars(owner)[name]
    patches = Patches()
    patches.wrap(owner, name, through)
    after: Any = vars(owner)[name]
    assert after is not before
    assert inspect.signature(after) == inspect.signature(before)
    assert isinstance(after, FunctionType)
    for of in (after, getattr(owner(), name)):
        assert inspect.iscoroutinefunction(of) is inspect.iscoroutinefunction(before)
        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            assert getattr(of, attribute) == getattr(before, attribute)
    patches.undo()
    assert vars(owner)[name] is before


def test_the_coroutine_of_a_wrapped_async_def_is_given_on_or_named_like_it(
    owner: type[Owner],
) -> None:
    for wrapper, same_code in ((through, True), (around, False)):
        patches = Patches()
        patches.wrap(owner, "coroutine", wrapper)
        coroutine: Any = owner().coroutine(5)
        assert coroutine.__qualname__ == "Owner.coroutine"
        assert (coroutine.cr_code is Owner.coroutine.__code__) is same_code
        assert run_to_its_end(coroutine) == 5
        patches.undo()


def test_a_wrapper_is_in_no_traceback(owner: type[Owner]) -> None:
    patches = Patches()
    patches.wrap(owner, "fail", through)
    with pytest.raises(ValueError, match="on purpose") as caught:
        owner().fail()
    patches.undo()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames] == [
        "test_a_wrapper_is_in_no_traceback",
        "fail",
    ]


def test_a_wrong_call_fails_where_it_was_made(owner: type[Owner]) -> None:
    patches = Patches()
    patches.wrap(owner, "method", through)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'") as caught:
        owner().method()  # type: ignore[call-arg]
    patches.undo()
    (frame,) = traceback.extract_tb(caught.value.__traceback__)
    assert frame.name == "test_a_wrong_call_fails_where_it_was_made"


def test_a_failed_call_keeps_nothing_by_its_frames(owner: type[Owner]) -> None:
    class Argument:
        pass

    def fail(self: Any, argument: Any) -> None:
        del self, argument
        raise ValueError("on purpose")

    owner.fail = fail  # type: ignore[method-assign, assignment]
    patches = Patches()
    patches.wrap(owner, "fail", through)
    instance, argument = owner(), Argument()
    kept = weakref.ref(instance), weakref.ref(argument)
    gc.disable()
    try:
        try:
            instance.fail(argument)  # type: ignore[call-arg]
        except ValueError as error:
            caught = error
        del instance, argument
        assert [reference() for reference in kept] == [None, None]
        assert str(caught) == "on purpose"
    finally:
        gc.enable()
        patches.undo()


def make_class() -> type:
    class Short:
        def method(self) -> type:
            return __class__  # type: ignore[name-defined, no-any-return]  # as `super()` does

    return Short


@pytest.mark.parametrize("how", ["wrap", "replace"])
def test_a_class_that_the_program_drops_is_collected(how: str) -> None:
    patches = Patches()
    cls = make_class()
    if how == "wrap":
        patches.wrap(cls, "method", through)
    else:
        patches.replace(cls, "method", dressed(cls.method))  # type: ignore[attr-defined]
    reference = weakref.ref(cls)
    del cls
    gc.collect()
    assert reference() is None
    patches.undo()


def dressed(original: Callable[..., Any]) -> Callable[..., Any]:
    @looks_like(original)
    def new(self: Any) -> Any:
        return original(self)

    return new


def test_what_looks_like_another_has_its_attributes_and_is_known_as_a_patch() -> None:
    def original(a: int) -> int:
        return a

    original.marked = True  # type: ignore[attr-defined]
    new: Any = dressed(original)
    assert new.marked
    assert not hasattr(new, "__wrapped__")
    assert is_patched(new)
    assert not is_patched(original)
    assert str(inspect.signature(new)) == "(a: int) -> int"


@pytest.mark.parametrize(
    ("candidate", "is_one"),
    [
        (Owner.method, True),
        (Owner.coroutine, True),
        (dict.get, True),
        (vars(dict)["fromkeys"], False),
        (staticmethod(len), False),
        (classmethod(through), False),
        (property(len), False),
        (Owner, False),
        (Owner().method, False),
        (None, False),
    ],
)
def test_what_may_be_stood_in_for_is_a_method(candidate: object, is_one: bool) -> None:
    assert is_method(candidate) is is_one


def test_a_method_of_any_kind_is_called_with_its_instance(owner: type[Owner]) -> None:
    from wrapt import FunctionWrapper

    assert calling(Owner.method)(Owner(), 1) == (1, "b", False)
    assert calling(dict.get)({1: 2}, 1) == 2
    seen = []

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(instance)
        return wrapped(*args, **kwargs)

    instance = owner()
    assert calling(FunctionWrapper(Owner.method, wrapper))(instance, 1) == (1, "b", False)
    assert seen == [instance]


def test_only_our_own_frames_at_the_outer_end_leave_a_traceback() -> None:
    with pytest.raises(ValueError, match="on purpose") as caught:
        raise ValueError("on purpose")
    before = caught.value.__traceback__
    leave_traceback(caught.value)
    assert caught.value.__traceback__ is before
