"""Counters of the process, for who looks at it again and again: `whence top`.

Each only ever grows; who asks keeps the last answer and subtracts.
"""

from typing import Any

from ..engine import clock
from ..engine.blocks import blocks
from ..engine.histograms import Snapshot
from ..engine.measures import LOOP_DELAY, QUEUE_TIME, blocked
from ..engine.resource_types import known_types
from ..live.active_resource import place
from ..naming import span_name

MAX_BLOCKERS = 50


def pulse() -> dict[str, Any]:
    """As JSON: {at, types, delay, queue, blocked, blockers}.

    `at` is when, in seconds of a clock that only grows; `types` are {created, destroyed, leaked} by
    type; `delay` how late the loops were with what was due and `queue` how long jobs waited for a
    worker thread, {counts, sums} as in `whence.engine.histograms`; `blocked` {number, seconds};
    `blockers` the places that took the most of it, each {name, site, number, seconds, longest}."""
    return {
        "at": clock() / 1e9,
        "types": {
            row.name: {
                "created": row.created,
                "destroyed": row.destroyed,
                "leaked": row.leaked,
            }
            for row in known_types()
            if row.created
        },
        "delay": _histogram(LOOP_DELAY.snapshot()),
        "queue": _histogram(QUEUE_TIME.snapshot()),
        "blocked": {"number": blocked.number, "seconds": blocked.time / 1e9},
        "blockers": _blockers(),
    }


def _histogram(snapshot: Snapshot) -> dict[str, Any]:
    return {"counts": list(snapshot.counts), "sums": list(snapshot.sums)}


def _blockers() -> list[dict[str, Any]]:
    ranked = sorted(blocks.places.copy().items(), key=lambda item: -item[1][1])
    return [
        {
            "name": span_name(type_name, name),
            "site": place(site),
            "number": number,
            "seconds": time / 1e9,
            "longest": longest / 1e9,
        }
        for (type_name, name, site), (number, time, longest) in ranked[:MAX_BLOCKERS]
    ]
