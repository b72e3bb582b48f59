"""What there is to say at the end of the process: what the report prints.

Read after the pipeline has stopped, so that the numbers are final.
"""

import os

from .engine import RecordedLifetime, open_lifetimes, site
from .engine.blocks import blocks
from .engine.resource_types import FUTURE, known_types
from .engine.sites import Site
from .naming import span_name
from .report import Block, EndFacts
from .sending import pipeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine import Cause
    from .sending.destinations import Destination
    from .settings.config import Settings

MAX_HOPS = 4
"""Causes named in a chain of what stayed open."""
MAX_OPEN = 100_000
"""Chains that are worked out; beyond that the block would make the end of the process late."""

_INSTALLED = f"{os.sep}site-packages{os.sep}"

_SEARCH = "/#/traces?service="
# Jaeger refuses a search without a time.
_JAEGER = "http://localhost:16686/search?lookback=1h&service="


def end_facts(settings: "Settings") -> EndFacts:
    """What stayed open, what never settled, what blocked, what was dropped, where to look."""
    counts = pipeline.counts()
    return EndFacts(
        created=sum(row.created for row in known_types()),
        open=_open_chains(),
        never_settled=FUTURE.leaked + _still_open(FUTURE.created, FUTURE.destroyed),
        worst_block=_worst_block(),
        dropped=counts.dropped,
        over_rate=counts.over_rate,
        over_spans=counts.counted,
        unsampled=counts.unsampled,
        problems=[problem for d in pipeline.destinations() if (problem := _problem(d))],
        where=_where(settings),
    )


def _problem(destination: "Destination") -> str:
    """Why it has not got everything; empty if nobody knows of a reason."""
    if destination.problem:
        return destination.problem.partition(";")[0]
    return f"{destination.label} did not answer in time" if destination.pending else ""


def _still_open(created: int, destroyed: int) -> int:
    return max(0, created - destroyed)


def _open_chains() -> list[tuple[str, ...]]:
    """Of what becomes spans: callbacks and futures are steps of something else."""
    lasting = [lifetime for lifetime in list(open_lifetimes.values()) if not lifetime.transparent]
    return [_chain(lifetime) for lifetime in lasting[:MAX_OPEN]]


def _chain(lifetime: RecordedLifetime) -> tuple[str, ...]:
    hops = [_hop(lifetime.type.name, lifetime.name, site(lifetime.code, lifetime.lasti))]
    cause: Cause | None = lifetime.cause
    while cause is not None and len(hops) <= MAX_HOPS:
        if not cause.type.transparent:
            hops.append(_hop(cause.type.name, cause.name, cause.site()))
        cause = cause.cause
    return tuple(hops)


def _hop(type_name: str, name: str | None, where: Site | None) -> str:
    called = span_name(type_name, name)
    return called if where is None else f"{called} {_place(where)}"


def _worst_block() -> Block | None:
    worst = blocks.worst
    if worst is None:
        return None
    return Block(
        worst.nanoseconds / 1e9,
        "" if worst.site is None else _place(worst.site),
        span_name(worst.type, worst.name),
    )


def _place(where: Site) -> str:
    """The file as the user would type it here; of an installed library, from its package on."""
    _, installed, module = where.file.rpartition(_INSTALLED)
    if installed:
        return f"{module}:{where.line}"
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:
        here = ""
    return f"{where.file.removeprefix(here) if here else where.file}:{where.line}"


def _where(settings: "Settings") -> list[tuple[str, str]]:
    found = []
    for destination in pipeline.destinations():
        if not destination.sent:
            continue
        if destination.name == "file":
            found.append(("file", settings.output_path() or ""))
        elif destination.name == "otlp" and (viewer := _viewer(settings)):
            from urllib.parse import quote

            found.append(("traces", viewer + quote(settings.service)))
    return found


def _viewer(settings: "Settings") -> str:
    """Where to look for what went by OTLP: an address up to the name of the service."""
    if isinstance(settings.dashboard, str):
        return settings.dashboard + _SEARCH
    # Where `docker compose up` starts Jaeger.
    local = ("http://localhost:431", "http://127.0.0.1:431")
    return _JAEGER if settings.text("endpoint").startswith(local) else ""
