"""Lifetimes of which some are left out, as the user has asked for by name.

What is left out is transparent: hooks get its events, it is counted, and what it triggers belongs
to its nearest ancestor that is not left out.

Whether one is, is decided when somebody first asks whether it is transparent: when it has triggered
something, blocked, or ended.  By then it has its name, whichever instrumentation gives it.  Without
a selection nothing here runs: `recorder.lifetime` is what is made, and is a plain SpanLifetime.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import twin
from .lifetimes import Lifetime, RecordedLifetime, SpanLifetime
from .recorder import hide, recorder

Wanted = Callable[[SpanLifetime], bool]
"""Whether a lifetime may become a span, by its type, name and creation site.  Called in the
program's threads, must return at once; what it raises is a no."""

_LEFT_OUT = "left out"

_slot: Any = vars(RecordedLifetime)["transparent"]
"""None: not decided; False: not transparent; True: asyncio's own; or _LEFT_OUT."""

_wanted: Wanted = lambda lifetime: True  # noqa: E731


def select(wanted: Wanted | None) -> None:
    """Leave out what is not wanted, of what is created from now on; None leaves out nothing."""
    global _wanted
    if wanted is None:
        recorder.lifetime = SpanLifetime
    else:
        _wanted = wanted
        recorder.lifetime = SelectedLifetime


def is_left_out(lifetime: Lifetime) -> bool:
    """Whether it is transparent because the user wants to see nothing of it."""
    return (
        isinstance(lifetime, SelectedLifetime)
        and lifetime.transparent
        and _slot.__get__(lifetime) is _LEFT_OUT
    )


class SelectedLifetime(SpanLifetime):
    """A SpanLifetime that the user may want to leave out."""

    __slots__ = ()

    @property
    def transparent(self) -> bool:
        """Whether it becomes no span; the first to ask has it decided."""
        state = _slot.__get__(self)
        return (_decide(self) if state is None else state) is not False

    @transparent.setter
    def transparent(self, value: bool) -> None:
        _slot.__set__(self, value or None)


def _decide(lifetime: SelectedLifetime) -> object:
    _slot.__set__(lifetime, False)
    # What somebody refers to already is there.
    if not lifetime.keep and not _is_wanted(lifetime):
        hide(lifetime)
        _slot.__set__(lifetime, _LEFT_OUT)
    return _slot.__get__(lifetime)


def _is_wanted(lifetime: SelectedLifetime) -> bool:
    try:
        return _wanted(lifetime)
    except Exception:
        return False


if twin.IN_C and not TYPE_CHECKING:
    # The field that says so has more values there than True and False.
    _DECIDED_NOT, _IN_C_LEFT_OUT, _UNDECIDED = 0, 2, 3

    class SelectedLifetime(SpanLifetime):
        """A SpanLifetime that the user may want to leave out."""

        __slots__ = ()

    def is_left_out(lifetime):
        """Whether it is transparent because the user wants to see nothing of it."""
        return lifetime.transparent and getattr(lifetime, "transparency", 0) == _IN_C_LEFT_OUT

    def _decide(lifetime):
        lifetime.transparency = _DECIDED_NOT
        if not lifetime.keep and not _is_wanted(lifetime):
            hide(lifetime)
            lifetime.transparency = _IN_C_LEFT_OUT

    twin.tell(decide=_decide)
