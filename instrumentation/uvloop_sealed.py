"""Methods of the types that uvloop has in C, which take no attribute.

The namespace of such a type is a dictionary like that of any other class, and what stands in it is
what a call by name finds, uvloop's own calls included.  The collector gives it out.  Then Python
has to forget what it looked up before, which it does when `__abstractmethods__` is set; type's own
descriptor sets it on every type.

A replacement that does not hold is taken back, and among what the patches have skipped.
"""

from collections.abc import Callable
from gc import get_referents
from typing import Any

from uvloop import loop

from .patching import Patches, looks_like

sealed: Any = loop
"""The module with the types; it says of the loop's alone what it has."""

_abstract_methods: Any = vars(type)["__abstractmethods__"]


def replace_sealed(
    patches: Patches, owner: type, name: str, make: Callable[[Any], Callable[..., Any]]
) -> bool:
    """Put `make(original)` in place of a method of a sealed type; whether that could be done."""
    where = f"{owner.__module__}.{owner.__qualname__}.{name}"
    original = getattr(owner, name)
    namespace = _namespace(owner)
    if namespace is None or namespace.get(name) is not original:
        patches.skipped[where] = "the type does not give out its namespace"
        return False
    new = looks_like(original)(make(original))

    def put_back() -> None:
        if namespace.get(name) is new:
            namespace[name] = original
            _forget_look_ups(owner)

    namespace[name] = new
    _forget_look_ups(owner)
    if getattr(owner, name) is not new:
        put_back()
        patches.skipped[where] = "the type goes on finding its own"
        return False
    patches.on_undo(put_back, where)
    return True


def _namespace(owner: type) -> dict[str, Any] | None:
    for referent in get_referents(vars(owner)):
        if type(referent) is dict:
            return referent
    return None


def _forget_look_ups(owner: type) -> None:
    _abstract_methods.__set__(owner, ())
    _abstract_methods.__delete__(owner)
