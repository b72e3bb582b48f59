"""Methods of types that take no attribute."""

from typing import Any

import pytest

from whence.instrumentation.patching import Patches

pytest.importorskip("uvloop")

from whence.instrumentation.uvloop_sealed import replace_sealed, sealed


def shouting(original: Any) -> Any:
    def when(self: Any) -> str:
        return f"{original(self)}!"

    return when


@pytest.fixture
def timer() -> Any:
    import uvloop

    loop = uvloop.new_event_loop()
    yield loop.call_later(10, int)
    loop.close()


def test_a_method_is_replaced_for_objects_that_are_there_and_put_back(timer: Any) -> None:
    patches, original = Patches(), sealed.TimerHandle.when
    plain = [timer.when() for _ in range(100)]
    assert replace_sealed(patches, sealed.TimerHandle, "when", shouting)
    assert [timer.when() for _ in range(100)] == [f"{when}!" for when in plain]
    assert patches.patched == ["uvloop.loop.TimerHandle.when"]
    patches.undo()
    assert [timer.when() for _ in range(100)] == plain
    assert sealed.TimerHandle.when is original
    assert "__abstractmethods__" not in vars(sealed.TimerHandle)


def test_it_looks_like_the_one_that_it_replaces() -> None:
    patches, original = Patches(), sealed.TimerHandle.when
    replace_sealed(patches, sealed.TimerHandle, "when", shouting)
    ours = sealed.TimerHandle.when
    assert (ours.__name__, ours.__qualname__) == (original.__name__, original.__qualname__)
    patches.undo()


def test_what_a_type_inherits_is_left_alone_and_skipped() -> None:
    patches = Patches()
    assert not replace_sealed(patches, sealed.TCPTransport, "set_protocol", shouting)
    assert list(patches.skipped) == ["uvloop.loop.TCPTransport.set_protocol"]
    assert patches.patched == []


def test_what_somebody_has_put_on_top_stays(timer: Any) -> None:
    first, second, plain = Patches(), Patches(), timer.when()
    replace_sealed(first, sealed.TimerHandle, "when", shouting)
    replace_sealed(second, sealed.TimerHandle, "when", shouting)
    first.undo()
    assert timer.when() == f"{plain}!!"
    second.undo()
    assert timer.when() == f"{plain}!"
    first.undo()
