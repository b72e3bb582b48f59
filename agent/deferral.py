"""Do something when the program imports a library, and not before.

A meta-path finder of our own: the machinery made for this imports what the program did not.  It
stands first in `sys.meta_path`, lets the others find the module, and has its callback run once the
module's code has.  Nothing of it stays on a module.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_waiting: dict[str, list[Callable[[], None]]] = {}
_halfway: set[str] = set()
"""Of these, what another thread had begun to import already: looked at with every later import."""
_changes: dict[str, list[Callable[[], Callable[[], None]]]] = {}


class _Finder:
    """Finds nothing itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _halfway:
            _catch_up()
        if name not in _waiting and name not in _changes:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec: ModuleSpec | None = finder.find_spec(name, path, target)
            if spec is not None:
                _announce(spec)
                return spec
        return None


def _announce(spec: ModuleSpec) -> None:
    original: Any = spec.loader
    loader = original
    execute = getattr(loader, "exec_module", None)
    if execute is None or not hasattr(loader, "__dict__"):
        return
    if isinstance(loader, type):
        # Built-in and frozen modules have the loader's class for a loader, all the same one.
        loader = spec.loader = type(loader.__name__, (loader,), {})()

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        spec.loader = module.__loader__ = original
        end_changes = [begin_change() for begin_change in _changes.get(spec.name, ())]
        try:
            execute(module)
        finally:
            for end_change in end_changes:
                end_change()
        for callback in _waiting.pop(spec.name, ()):
            callback()

    loader.exec_module = exec_module


_finder = _Finder()


def when_imported(name: str, callback: Callable[[], None]) -> None:
    """Call now if the module is there, else right after it has been imported."""
    module = sys.modules.get(name)
    if module is not None and not _half_imported(module):
        callback()
        return
    _waiting.setdefault(name, []).append(callback)
    if module is not None:
        _halfway.add(name)
    _find()


def while_importing(name: str, begin_change: Callable[[], Callable[[], None]]) -> None:
    """Call right before the module's code runs, and what that gives right after; nothing if the
    module is there."""
    if name not in sys.modules:
        _changes.setdefault(name, []).append(begin_change)
        _find()


def _find() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _catch_up() -> None:
    for name in list(_halfway):
        module = sys.modules.get(name)
        if module is None or not _half_imported(module):
            _halfway.discard(name)
            for callback in _waiting.pop(name, ()) if module is not None else ():
                callback()


def _half_imported(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def forget_all() -> None:
    """Wait for nothing more."""
    _waiting.clear()
    _halfway.clear()
    _changes.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
