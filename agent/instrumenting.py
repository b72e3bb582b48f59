"""Putting the instrumentations in with the first hook, and taking them out with the last.

Each is one module with a function `install(patches)`, applied when the library that it knows has
been imported.  Ours stand in a table; other distributions add theirs by an entry point in the group
`whence.instrumentation`, whose name is the library's module.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from . import engine
from .deferral import forget_all, when_imported
from .entry_points import entry_points
from .report import warn

INSTRUMENTATIONS = {
    "threading": ("threads", "ending_threads"),
    "asyncio": (
        "debug_mode",
        "callbacks",
        "futures",
        "tasks",
        "derived_classes",
        "class_statements",
        "servers",
        "transports",
        "tls",
        "subprocesses",
        "foreign_executors",
        "loops",
        "uvloop_import",
        "foreign_loops",
        "deadly_signals",
        "ending_runners",
    ),
    "concurrent.futures.thread": ("executors",),
    "concurrent.futures.process": ("process_pools",),
    "aiohttp.web_protocol": ("aiohttp",),
    "uvicorn": ("uvicorn",),
    "hypercorn.asyncio.tcp_server": ("hypercorn",),
    "starlette.routing": ("starlette",),
    "websockets.asyncio.connection": ("websockets_pings",),
    "websockets.asyncio.server": ("websockets",),
    "anyio._backends._asyncio": ("anyio",),
    "opentelemetry.trace": ("opentelemetry_context",),
    "opentelemetry.instrumentation.utils": ("opentelemetry_servers",),
    "uvloop": (
        "uvloop",
        "uvloop_watchers",
        "uvloop_lookups",
        "uvloop_connections",
        "uvloop_servers",
        "uvloop_subprocesses",
        "uvloop_leftovers",
    ),
}
"""Library -> the modules of `whence.instrumentation` that know it."""

ENTRY_POINTS = "whence.instrumentation"

IN = "in"
FAILED = "failed"
SWITCHED_OFF = "switched off"
WAITING = "waiting"
"""For its library: the program has not imported it."""

_applied: list[tuple[str, Any, Any]] = []
"""Name, module and patches of those that are in, the first one first."""
_offered: list[Any] = []
_looked_up = False
"""Names of those of other distributions."""
_switched_off: frozenset[str] = frozenset()
_failures: dict[str, str] = {}


def switch_off(names: frozenset[str]) -> None:
    """Leave these instrumentations out, or all that know these libraries, from the next
    installation on."""
    global _switched_off
    _switched_off = names


def _is_switched_off(library: str, name: str) -> bool:
    return name in _switched_off or library in _switched_off


def failures() -> dict[str, str]:
    """Instrumentation -> why it is not in, of those that could not be put in."""
    return dict(_failures)


class State:
    """What became of an instrumentation in this process.

    `state` is one of the words above, `why` the reason of a failure.  `patched` are the attributes
    that it has replaced, `skipped` those that it would have, each with the reason why not;
    `impossible` is what it cannot show of its library, each with the reason."""

    __slots__ = ("impossible", "library", "name", "patched", "skipped", "state", "why")

    def __init__(self, library: str, name: str) -> None:
        self.library = library
        self.name = name
        self.state = WAITING
        self.why = ""
        self.patched: list[str] = []
        self.skipped: dict[str, str] = {}
        self.impossible: dict[str, str] = {}


def states() -> list[State]:
    """Every instrumentation that there is, and what became of it: for `whence doctor`."""
    rows = [State(library, name) for library, names in INSTRUMENTATIONS.items() for name in names]
    rows += [State(offered.name, offered.name) for offered in _offered]
    known = {row.name for row in rows}
    rows += [State(ENTRY_POINTS, name) for name in _failures if name not in known]
    applied = {name: (module, patches) for name, module, patches in _applied}
    for row in rows:
        if row.name in applied:
            module, patches = applied[row.name]
            row.state, row.patched, row.skipped = IN, patches.patched, dict(patches.skipped)
            row.impossible = dict(getattr(module, "IMPOSSIBLE", {}))
        elif row.name in _failures:
            row.state, row.why = FAILED, _failures[row.name]
        elif _is_switched_off(row.library, row.name):
            row.state = SWITCHED_OFF
    return rows


def _install() -> None:
    for library, names in INSTRUMENTATIONS.items():
        wanted = [name for name in names if not _is_switched_off(library, name)]
        when_imported(library, lambda wanted=wanted: _apply(wanted))  # type: ignore[misc]
    when_imported("asyncio", _apply_entry_points)


def _uninstall() -> None:
    forget_all()
    while _applied:
        _, _, patches = _applied.pop()
        patches.undo()
    engine.forget_collected()


def _apply(names: list[str]) -> None:
    for name in names:
        _apply_one(name, lambda name=name: import_module(f"whence.instrumentation.{name}"))  # type: ignore[misc]


def _apply_one(name: str, load: Callable[[], Any]) -> None:
    """An instrumentation that fails is left out whole; the program and the others go on."""
    if not engine.instrumented():
        return
    patches = None
    try:
        patches = import_module("whence.instrumentation.patching").Patches()
        module = load()
        module.install(patches)
    except Exception as error:
        if patches is not None:
            patches.undo()
        _left_out(name, error)
    else:
        _applied.append((name, module, patches))
        _failures.pop(name, None)


def _left_out(name: str, error: Exception) -> None:
    _failures[name] = f"{type(error).__name__}: {error}"
    warn(f"{name} is not instrumented ({_failures[name]})")


def _apply_entry_points() -> None:
    """Installed by other distributions."""
    global _looked_up
    if not _looked_up:
        # Once in a process: it looks at everything that is installed.
        _looked_up = True
        try:
            _offered[:] = entry_points(ENTRY_POINTS)
        except Exception as error:
            # Somebody else's metadata is broken; the program imports asyncio all the same.
            _left_out(f"what other distributions offer as {ENTRY_POINTS}", error)
    known = {*INSTRUMENTATIONS, *sum(INSTRUMENTATIONS.values(), ()), *(o.name for o in _offered)}
    for name in sorted(_switched_off - known):
        warn(f"--disable: expected what `whence doctor` lists as instrumented, not {name!r}")
    for entry_point in _offered:
        if entry_point.name not in _switched_off:
            when_imported(
                entry_point.name,
                lambda e=entry_point: _apply_one(e.name, e.load),  # type: ignore[misc]
            )


def connect() -> None:
    """Have the engine install with the first hook, and uninstall with the last."""
    engine.on_first_and_last(_install, _uninstall)
