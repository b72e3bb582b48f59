"""Patches: replace or wrap an attribute, remember it, put the very same object back.

The only file that imports wrapt; and only with the first `wrap`, as wrapt imports asyncio.

An attribute is put back only while it is still ours: what somebody else has put on top since stays,
and calls ours, which then does nothing.
"""

from collections.abc import Callable
from functools import wraps
from os.path import dirname, sep
from types import TracebackType
from typing import Any
from weakref import ref

from whence import engine

_ABSENT = object()
_ours = tuple(
    folder + sep
    for folder in {dirname(__file__), dirname(engine.__file__), dirname(dirname(engine.__file__))}
)
engine.skip_folder(dirname(__file__))

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""(wrapped, instance, args, kwargs), as wrapt has it."""


class Patches:
    """The patches of one instrumentation."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def replace(self, owner: Any, name: str, new: object) -> None:
        """Put another object in place of an attribute, if the owner has one of that name."""
        original = vars(owner).get(name, _ABSENT)
        if original is _ABSENT and not hasattr(owner, name):
            return
        setattr(owner, name, new)
        # By weak reference: a class that the program makes and drops must not stay for our sake.
        owner_ref = ref(owner)

        def put_back() -> None:
            owner = owner_ref()
            if owner is None or vars(owner).get(name) is not new:
                return
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

        self._undo.append(put_back)

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Have `wrapper(wrapped, instance, args, kwargs)` called instead of a method or function.

        For cold surfaces.  An async def is to be wrapped by an async def."""
        from wrapt import FunctionWrapper

        original = vars(owner).get(name, getattr(owner, name, None))
        if original is not None:
            self.replace(owner, name, FunctionWrapper(original, _unseen(wrapper)))

    def on_undo(self, undo: Callable[[], None]) -> None:
        """Have something else undone with the rest."""
        self._undo.append(undo)

    def undo(self) -> None:
        """Put everything back, last first."""
        while self._undo:
            self._undo.pop()()


def _unseen(wrapper: Wrapper) -> Wrapper:
    if wrapper.__code__.co_flags & 0x80:  # type: ignore[attr-defined]

        @wraps(wrapper)
        async def call_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            try:
                return await wrapper(wrapped, instance, args, kwargs)
            except BaseException as error:
                leave_traceback(error)
                raise
            finally:
                instance = args = kwargs = None

        return call_async

    @wraps(wrapper)
    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            return wrapper(wrapped, instance, args, kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            instance = args = kwargs = None

    return call


def leave_traceback(error: BaseException) -> None:
    """Take our frames out of the outer end of a traceback, before it is raised again.

    The program's error shows the program's frames, and no frame of ours keeps its objects alive."""
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_ours):
        traceback = traceback.tb_next
    error.__traceback__ = traceback
