"""What stands in for an async def or a function written in C: nobody who looks at it can tell."""

import copy
import inspect
import pickle
import time
import traceback
import weakref
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

from whence.instrumentation.patching import Patches
from wrapping import through


class Owner:
    async def coroutine(self, a: int, *, b: str = "b") -> tuple[int, str]:
        """What it says."""
        return a, b


Owner.coroutine.marked = "by the program"  # type: ignore[attr-defined]


@pytest.fixture
def patches() -> Any:
    patches = Patches()
    yield patches
    patches.undo()


def result_of(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


@pytest.mark.parametrize(
    "ask",
    [
        repr,
        dir,
        hash,
        vars,
        inspect.signature,
        inspect.iscoroutinefunction,
        inspect.getsource,
        inspect.getdoc,
        inspect.isfunction,
        lambda it: it.__class__,
        lambda it: isinstance(it, FunctionType),
        lambda it: (it.__name__, it.__qualname__, it.__module__, it.__doc__),
        lambda it: (it.__defaults__, it.__kwdefaults__, it.__annotations__),
        lambda it: (it.__code__, it.__globals__, it.__closure__),
        lambda it: it.marked,
        lambda it: hasattr(it, "not_there"),
        lambda it: it == Owner.coroutine,
        lambda it: it == it,
        lambda it: it in {Owner.coroutine},
    ],
)
def test_an_async_def_answers_as_before_whatever_it_is_asked(ask: Any, patches: Patches) -> None:
    before = ask(Owner.coroutine)
    original = vars(Owner)["coroutine"]
    patches.wrap(Owner, "coroutine", through)
    assert vars(Owner)["coroutine"] is not original
    assert ask(Owner.coroutine) == before


def test_what_the_program_sets_and_deletes_is_there_afterwards_and_gone(patches: Patches) -> None:
    original: Any = vars(Owner)["coroutine"]
    patches.wrap(Owner, "coroutine", through)
    standing_in: Any = Owner.coroutine
    standing_in.later = 5
    assert (standing_in.later, original.later) == (5, 5)
    del standing_in.later
    assert not hasattr(original, "later")


def test_a_bound_async_def_is_a_method_like_any_other(patches: Patches) -> None:
    patches.wrap(Owner, "coroutine", through)
    owner = Owner()
    method = owner.coroutine
    assert inspect.ismethod(method)
    assert method == owner.coroutine
    assert method != Owner().coroutine
    assert method.__self__ is owner
    assert weakref.WeakMethod(method)() == method
    assert result_of(pickle.loads(pickle.dumps(method))(1)) == (1, "b")


def test_the_class_and_copies_of_it_hold_the_same_object(patches: Patches) -> None:
    patches.wrap(Owner, "coroutine", through)
    standing_in = vars(Owner)["coroutine"]
    assert Owner.coroutine is standing_in
    assert copy.copy(standing_in) is standing_in
    assert copy.deepcopy(standing_in) is standing_in
    assert pickle.loads(pickle.dumps(standing_in)) is standing_in


def test_the_wrapper_is_given_the_bound_original_and_the_instance(patches: Patches) -> None:
    told = []

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        told.append((wrapped, instance, args, kwargs))
        return wrapped(*args, **kwargs)

    owner = Owner()
    bound = owner.coroutine
    patches.wrap(Owner, "coroutine", wrapper)
    assert result_of(owner.coroutine(1, b="c")) == (1, "c")
    assert result_of(Owner.coroutine(owner, 2)) == (2, "b")
    assert told == [(bound, owner, (1,), {"b": "c"}), (bound, owner, (2,), {})]


def test_a_call_without_an_instance_fails_as_ever(patches: Patches) -> None:
    call: Any = Owner.coroutine
    with pytest.raises(TypeError) as before:
        call(b="c")
    patches.wrap(Owner, "coroutine", through)
    call = Owner.coroutine
    with pytest.raises(TypeError) as after:
        call(b="c")
    assert str(after.value) == str(before.value)
    assert len(traceback.extract_tb(after.value.__traceback__)) == 1


def test_a_function_written_in_c_stays_one_in_the_eyes_of_the_program(patches: Patches) -> None:
    module: Any = ModuleType("module")
    module.sleep = time.sleep
    told = []

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        told.append((instance, args))
        return wrapped(*args, **kwargs)

    patches.wrap(module, "sleep", wrapper)
    assert module.sleep is not time.sleep
    assert isinstance(module.sleep, BuiltinFunctionType)
    assert inspect.isbuiltin(module.sleep)
    assert repr(module.sleep) == repr(time.sleep)
    assert module.sleep == time.sleep
    # In a class it binds no instance, as ever.
    module.sleep(0)
    type("Clock", (), {"sleep": module.sleep})().sleep(0)
    assert told == [(None, (0,)), (None, (0,))]
    patches.undo()
    assert module.sleep is time.sleep


def test_a_failing_function_written_in_c_is_in_no_traceback(patches: Patches) -> None:
    module: Any = ModuleType("module")
    module.sleep = time.sleep
    patches.wrap(module, "sleep", through)
    with pytest.raises(ValueError, match="non-negative") as caught:
        module.sleep(-1)
    (frame,) = traceback.extract_tb(caught.value.__traceback__)
    assert frame.name == "test_a_failing_function_written_in_c_is_in_no_traceback"
