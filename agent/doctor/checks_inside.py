"""What the attached process said of itself, judged."""

from . import inside_metrics
from .findings import ERROR, NOTE, WARNING, Finding
from .inside import BROKEN, FAILS, UNUSABLE
from .versions import is_tested, range_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def check_inside(inside: "dict[str, Any]", said: list[str]) -> "Iterator[Finding]":
    """Instrumentations, loops, engine, exporters, and what it printed."""
    yield from _check_instrumentations(inside["instrumentations"])
    yield from _check_loops(inside["loops"])
    why_not = inside["engine"]["why_not_c"]
    if why_not:
        yield Finding(
            WARNING,
            "the engine in C does not run",
            why_not,
            "the one in Python does, which is right and slower; install whence anew",
        )
    for what, why in inside["engine"]["slower"].items():
        yield Finding(NOTE, what, why, "this is slower, and right")
    for exporter in inside["exporters"]:
        if exporter["state"] == FAILS:
            yield Finding(WARNING, exporter["why"])
        elif exporter["state"] == UNUSABLE:
            yield Finding(ERROR, exporter["why"])
    yield from _check_metrics(inside)
    yield from _check_words(inside, said)


def _check_metrics(inside: "dict[str, Any]") -> "Iterator[Finding]":
    down = {row["label"] for row in inside["exporters"] if row["state"] == FAILS}
    for row in inside["metrics"]:
        if row["state"] == inside_metrics.UNUSABLE:
            if row["why"]:  # else the exporter of spans says it
                yield Finding(ERROR, row["why"])
        elif row["state"] == inside_metrics.FAILS and row["label"] not in down:
            remedy = "OTEL_METRICS_EXPORTER=none if that is meant"
            yield Finding(NOTE, row["why"], "", remedy)


def _check_instrumentations(rows: "list[dict[str, Any]]") -> "Iterator[Finding]":
    broken, untested = {}, {}
    for row in rows:
        if row["state"] == "failed":
            yield Finding(
                ERROR,
                f"{row['name']} is not instrumented ({row['why']})",
                "what goes through it is not traced",
                _other_version(row["library"], row["version"]),
            )
        if row["state"] == BROKEN:
            broken[row["library"]] = row["why"]
        elif is_tested(row["library"], row["version"]) is False:
            untested[row["library"]] = row["version"]
        if row["skipped"]:
            places = ", ".join(f"{place} ({why})" for place, why in row["skipped"].items())
            yield Finding(
                WARNING,
                f"{row['name']} does not patch {places}",
                "what goes through these is not traced",
            )
    for library, why in broken.items():
        yield Finding(
            WARNING,
            f"{library} cannot be imported ({why})",
            "a program that uses it fails too",
        )
    for library, version in untested.items():
        yield Finding(
            WARNING,
            f"{library} {version} is not among the versions that whence is tested with",
            f"these are {range_of(library)}",
            "try it before you deploy",
        )


def _other_version(library: str, version: str | None) -> str:
    if is_tested(library, version) is False:
        return f"use {library}{range_of(library)}"
    return "please report it"


def _check_loops(rows: "list[dict[str, Any]]") -> "Iterator[Finding]":
    for row in rows:
        name = row["class"] or row["library"]
        if row["error"]:
            yield Finding(ERROR, f"the loop {name} ran no task ({row['error']})")
        elif row["missed"]:
            yield Finding(
                ERROR,
                f"a task on the loop {name} was not seen ({', '.join(row['missed'])})",
                "what runs on it is not traced",
            )


def _check_words(inside: "dict[str, Any]", said: list[str]) -> "Iterator[Finding]":
    """The agent's own lines, but for those that say what other findings do."""
    failed = [row["name"] for row in inside["instrumentations"] if row["state"] == "failed"]
    known = (
        "whence: WHENCE_ENGINE: the engine in C does not run",
        *(f"whence: {name} is not instrumented" for name in failed),
    )
    for line in dict.fromkeys(said):
        if line.startswith("whence: ") and not line.startswith(known):
            yield Finding(WARNING, line.removeprefix("whence: "))
