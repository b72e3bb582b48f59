"""What `--include` and `--exclude` choose.

A resource becomes a span if one glob of `include` matches it, or there are none, and no glob of
`exclude` does; a trace is exported likewise, by what its root is called.  A glob is one of

    module:shop.*     the module that created it; `shop` is also every module below it
    name:poll_*       what it is called: coroutine, callback, job, program, method and route
    type:*Handle      its type
    tick              the module or the name
    trace:GET /*      what the root of a trace is called

with `*`, `?` and `[...]` as in a shell, in the letters' own case.  A name matches as the program
has it (`Feed.poll`, `main.<locals>.Feed.poll`), by its last part (`poll`), or as its span has it
(`sleep`, `timer sleep`).
"""

import os
import sys
from types import CodeType, ModuleType

from .engine import SpanLifetime
from .naming import short_name, span_name
from .settings.values import GLOB_KINDS, split_glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .engine.selected import Wanted
    from .settings.config import Settings

MAX_KNOWN = 10_000
"""Decisions and files that are remembered; a program may make names without end."""


def wanted_resources(settings: "Settings") -> "Wanted | None":
    """Whether a resource may become a span; None: all may."""
    return _selection(settings, of_traces=False)


def wanted_traces(settings: "Settings") -> "Wanted | None":
    """Whether the trace with this root may be exported; None: all may."""
    return _selection(settings, of_traces=True)


def _selection(settings: "Settings", *, of_traces: bool) -> "Wanted | None":
    include, exclude = (
        [glob for glob in globs if (split_glob(glob)[0] == "trace") is of_traces]
        for globs in (settings.include, settings.exclude)
    )
    return Selection(include, exclude).wants if include or exclude else None


class Selection:
    """Says of a lifetime whether it is wanted.  Any thread may ask."""

    def __init__(self, include: "Iterable[str]", exclude: "Iterable[str]") -> None:
        self._include = [_parse(glob) for glob in include]
        self._exclude = [_parse(glob) for glob in exclude]
        self._known: dict[object, bool] = {}
        self._modules: dict[str, tuple[str, ...]] = {}

    def wants(self, lifetime: SpanLifetime) -> bool:
        """Whether it matches; worked out once for each file, type and name."""
        code = lifetime.code
        key = None if code is None else code.co_filename, lifetime.type, lifetime.name
        answer = self._known.get(key)
        if answer is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            answer = self._known[key] = self._choose(self._words(code, lifetime))
        return answer

    def _choose(self, words: "dict[str, tuple[str, ...]]") -> bool:
        included = not self._include or _any_matches(self._include, words)
        return included and not _any_matches(self._exclude, words)

    def _words(self, code: CodeType | None, lifetime: SpanLifetime) -> "dict[str, tuple[str, ...]]":
        """By kind of glob, the words of which one has to match."""
        return {
            "module": () if code is None else self._modules_of(code.co_filename),
            "name": _names(lifetime.type.name, lifetime.name),
            "type": (lifetime.type.name,),
        }

    def _modules_of(self, file: str) -> tuple[str, ...]:
        found = self._modules.get(file)
        if found is None:
            if len(self._modules) >= MAX_KNOWN:
                self._modules.clear()
            found = self._modules[file] = tuple(
                name for module in _modules_in(file) for name in _with_packages(module)
            )
        return found


def _parse(glob: str) -> tuple[tuple[str, ...], str]:
    """The kinds of words that a glob is for, and its pattern."""
    kind, pattern = split_glob(glob)
    return GLOB_KINDS[kind], pattern


def _any_matches(
    globs: "list[tuple[tuple[str, ...], str]]", words: "dict[str, tuple[str, ...]]"
) -> bool:
    # It imports `re`, which a program that runs asyncio has imported.
    from fnmatch import fnmatchcase

    return any(
        fnmatchcase(word, pattern)
        for kinds, pattern in globs
        for kind in kinds
        for word in words[kind]
    )


def _names(type_name: str, name: str | None) -> tuple[str, ...]:
    of_span = span_name(type_name, name)
    if name is None:
        return (of_span,)
    return name, short_name(name), name.rpartition(".")[2], of_span


def _modules_in(file: str) -> list[str]:
    """The modules whose source is this file.  The program itself is `__main__`, and what it would
    be called if it were imported."""
    found = []
    # Asking a module of importlib's LazyLoader for an attribute in the usual way would load it.
    for name, module in list(sys.modules.items()):
        if issubclass(type(module), ModuleType):
            known = object.__getattribute__(module, "__dict__")
            if known.get("__file__") == file:
                found.append(name)
                if name == "__main__":
                    found.append(_name_of_program(known, file))
    # `python -c`, a notebook: the program has no file that is its module's.
    return found or ["__main__"]


def _name_of_program(known: "dict[str, object]", file: str) -> str:
    spec = getattr(known.get("__spec__"), "name", None)
    if isinstance(spec, str):
        return spec.removesuffix(".__main__")
    return os.path.splitext(os.path.basename(file))[0]


def _with_packages(module: str) -> list[str]:
    """`shop.cart.prices` is in `shop.cart` and in `shop`."""
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]
