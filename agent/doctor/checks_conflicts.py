"""What else is there that patches, traces, or takes our place at start-up."""

import os
from itertools import pairwise

from whence.sitecustomize import FOLDER

from .findings import NOTE, WARNING, Finding

_FAILED_SITE = ("Error in sitecustomize;", "Error in usercustomize;")
"""How site begins what it says of an error; the error follows."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_AGENTS = {
    "ddtrace": ("ddtrace", "it patches asyncio's tasks and executors as well"),
    "newrelic": ("New Relic", "it patches asyncio's loops as well"),
    "elasticapm": ("Elastic APM", "its spans go to a backend of their own"),
    "sentry_sdk": ("Sentry", "its asyncio integration wraps every coroutine of a task"),
    "opentelemetry.instrumentation.auto_instrumentation": (
        "opentelemetry-instrument",
        "its asyncio instrumentation wraps coroutines, and both send spans",
    ),
    "scout_apm": ("Scout", "its spans go to a backend of their own"),
}
"""Module that is loaded at start-up -> what it is, and what follows."""

_LAUNCHERS = {
    "ddtrace-run": "ddtrace",
    "newrelic-admin": "New Relic",
    "elasticapm-run": "Elastic APM",
    "opentelemetry-instrument": "opentelemetry-instrument",
    "viztracer": "VizTracer",
    "scalene": "Scalene",
    "logfire": "Logfire",
}
"""Command that starts a program with another agent -> which one."""


def sitecustomizes(facts: "Mapping[str, Any]") -> list[str]:
    """The files that site finds beside ours, in its order; the first one runs."""
    found = []
    for folder in facts["path"]:
        if os.path.realpath(folder) == os.path.realpath(FOLDER):
            continue
        for name in ("sitecustomize.py", os.path.join("sitecustomize", "__init__.py")):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                found.append(file)
    return found


def check_conflicts(
    facts: "Mapping[str, Any]",
    said: list[str],
    words: "Sequence[str]",
    environ: "Mapping[str, str]",
) -> "Iterator[Finding]":
    """Other agents, a hidden or failing sitecustomize, monkey patching, debug mode."""
    for module, (name, follows) in _AGENTS.items():
        if module in facts["loaded"]:
            yield Finding(
                WARNING,
                f"{name} is loaded before the program begins",
                follows,
                "leave out the one that you do not need",
            )
    launcher = _LAUNCHERS.get(os.path.basename(words[0])) if words else None
    if launcher is not None:
        yield Finding(
            WARNING,
            f"{words[0]} starts the program with {launcher}",
            "both watch it and add to its cost",
            "leave out the one that you do not need",
        )
    first, *hidden = sitecustomizes(facts) or [""]
    for file in hidden:
        yield Finding(
            NOTE,
            f"{file} does not run",
            f"{first} comes first on the path, with or without whence",
            "call it from that one if it has to run",
        )
    for line, reason in pairwise(said):
        if line.startswith(_FAILED_SITE):
            yield Finding(
                WARNING,
                f"a sitecustomize or usercustomize fails ({reason})",
                "what follows in it does not run, with or without whence",
                "mend it",
            )
    for name, modules in facts["patched"].items():
        public = ", ".join(module for module in modules if not module.startswith("_"))
        yield Finding(
            NOTE,
            f"{name} has patched {public} before the program begins",
            "greenlets are no resources: what asyncio and threads do is traced",
        )
    debug = "-X dev" if facts["flags"]["dev_mode"] else "PYTHONASYNCIODEBUG"
    if facts["flags"]["dev_mode"] or environ.get(debug):
        yield Finding(
            NOTE,
            f"asyncio's debug mode is on, by {debug}",
            "programs run many times slower, with whence or without",
            "leave it out where that counts",
        )
