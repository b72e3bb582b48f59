"""What is in and what is not: asked in an attached process, which `whence doctor` starts for it.

Everything is tried for real: each library is imported, each loop runs a task, each destination is
asked.  What comes out is JSON.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .. import engine, instrumenting
from ..attaching import settings
from ..engine import twin
from ..hooks import create_hook
from ..sending import pipeline
from ..sending.exporting import CannotExport, ExportError, load_exporter
from ..settings.config import Settings
from .inside_metrics import look_at_metrics

CHECK_TIMEOUT = 1.0
"""Seconds that a destination has to answer."""

NOT_INSTALLED = "not installed"
BROKEN = "broken"
"""States of an instrumentation beside those of `whence.instrumenting`: there is no library for it,
or one that cannot be imported."""

EXPECTED_TYPES = ("Future", "Handle", "Task", "TimerHandle")
"""What `_use` makes on a loop."""

TAKES = "takes spans"
FAILS = "takes no spans"
UNUSABLE = "unusable"
UNCHECKED = "not checked"


def look_inside() -> dict[str, Any]:
    """All that this process knows of the agent in it."""
    import asyncio

    chosen = settings()
    assert chosen is not None, "the agent is attached"
    # What is tried here is no program's, and nobody wants its spans.
    engine.recorder.sends = False
    pipeline.stop(0)
    libraries = _import_libraries()
    return {
        "engine": _engine(),
        "loops": [_try_loop(*loop) for loop in _loops(asyncio)],
        "instrumentations": [_instrumentation(row, libraries) for row in instrumenting.states()],
        "exporters": [_exporter(name, chosen) for name in chosen.export if name != "none"],
        "metrics": look_at_metrics(chosen),
    }


# -- libraries -----------------------------------------------------------------------------------


def _import_libraries() -> dict[str, dict[str, Any]]:
    """Library -> its version, or why there is none."""
    libraries: dict[str, dict[str, Any]] = {}
    # With asyncio come those of other distributions.
    import_module("asyncio")
    for state in instrumenting.states():
        if state.library not in libraries:
            libraries[state.library] = _import(state.library)
    return libraries


def _import(library: str) -> dict[str, Any]:
    top = library.partition(".")[0]
    try:
        if top not in sys.modules and find_spec(top) is None:
            return {"state": NOT_INSTALLED, "why": "", "version": None}
        import_module(library)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{library}.".startswith(f"{error.name}."):
            # A part that other distributions bring, or that this version does not have.
            return {"state": NOT_INSTALLED, "why": "", "version": None}
        why = f"{type(error).__name__}: {error}"
        return {"state": BROKEN, "why": why, "version": _version(top)}
    return {"state": None, "why": "", "version": _version(top)}


def _version(top: str) -> str | None:
    """Of a library that is no part of Python."""
    if top in sys.stdlib_module_names:
        return None
    version = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(version, str):
        return version
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of(top)
    except PackageNotFoundError:
        return None


def _instrumentation(state: Any, libraries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    library = libraries[state.library]
    waits = state.state == instrumenting.WAITING and library["state"] is not None
    return {
        "name": state.name,
        "library": state.library,
        "version": library["version"],
        "state": library["state"] if waits else state.state,
        "why": library["why"] if waits else state.why,
        "patched": state.patched,
        "skipped": state.skipped,
        "impossible": state.impossible,
    }


# -- engine and loops ----------------------------------------------------------------------------


def _engine() -> dict[str, Any]:
    from ..engine import handle_classes, handles
    from ..engine.recorder import clock_source

    slower = dict(twin.slower)
    if not handles._FIELDS_KNOWN:
        slower["handles are made by asyncio's constructor"] = (
            "asyncio's Handle has other fields in this Python than those that are known"
        )
    keeps_stock = handle_classes.keeps_stock
    return {
        "name": engine.NAME,
        "why_not_c": twin.why_not,
        "clock": clock_source(),
        "handles": handle_classes.STOCK if keeps_stock else handle_classes.TRACKED,
        "slower": slower,
    }


def _loops(asyncio: Any) -> list[tuple[str, Callable[[], Any]]]:
    loops = [("asyncio", asyncio.new_event_loop)]
    uvloop = sys.modules.get("uvloop")
    if uvloop is not None:
        loops.append(("uvloop", lambda: uvloop.new_event_loop()))
    return loops


def _try_loop(library: str, make: Callable[[], Any]) -> dict[str, Any]:
    """Run something on a loop, and see what is seen of it."""
    tried: dict[str, Any] = {
        "library": library,
        "version": _version(library),
        "class": None,
        "debug": False,
        "seen": [],
        "missed": list(EXPECTED_TYPES),
        "error": "",
    }
    seen: set[str] = set()
    try:
        loop = make()
        tried["class"] = f"{type(loop).__module__}.{type(loop).__qualname__}"
        tried["debug"] = bool(loop.get_debug())
        try:
            with create_hook(init=lambda async_id, kind, *_: seen.add(kind)):
                loop.run_until_complete(_use(loop))
        finally:
            loop.close()
    except Exception as error:
        tried["error"] = f"{type(error).__name__}: {error}"
    tried["seen"] = sorted(seen)
    tried["missed"] = [kind for kind in EXPECTED_TYPES if kind not in seen]
    return tried


async def _use(loop: Any) -> None:
    for schedule in (loop.call_soon, lambda *what: loop.call_later(0, *what)):
        future = loop.create_future()
        schedule(future.set_result, None)
        await future


# -- exporters -----------------------------------------------------------------------------------


def _exporter(name: str, chosen: Settings) -> dict[str, Any]:
    """Load it as the sender thread would, and ask it."""
    made: dict[str, Any] = {"name": name, "label": name, "state": UNUSABLE, "why": ""}
    try:
        exporter = load_exporter(name)
        exporter.start(chosen)
        made["label"] = exporter.label
        made["state"], made["why"] = _asked(exporter)
        exporter.stop(CHECK_TIMEOUT)
    except CannotExport as error:
        made["why"] = str(error)
    except Exception as error:
        made["why"] = f"the exporter cannot be loaded ({type(error).__name__}: {error})"
    return made


def _asked(exporter: Any) -> tuple[str, str]:
    check = getattr(exporter, "check", None)
    if check is None:
        return UNCHECKED, ""
    try:
        check(CHECK_TIMEOUT)
    except ExportError as error:
        return FAILS, str(error)
    return TAKES, ""
