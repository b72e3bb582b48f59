"""How many resources are open from each place of the program: what a leak shows in.

All of them are counted, also where the live table has a limit.
"""

from types import CodeType
from typing import Any

from ..engine import clock, open_lifetimes, site
from ..engine.resource_types import ResourceType
from ..live.active_resource import place
from ..live.pace import Pace
from ..naming import span_name

MAX_SITES = 10_000
"""Places that are told, those with the most resources."""


def by_site() -> list[dict[str, Any]]:
    """As JSON, the most first: [{type, name, site, count, oldest}].

    `oldest` is the age in seconds of the oldest of them.  Only of what is recorded."""
    now, pace = clock(), Pace()
    groups: dict[tuple[ResourceType, str | None, CodeType | None, int], list[int]] = {}
    for lifetime in list(open_lifetimes.values()):
        key = lifetime.type, lifetime.name, lifetime.code, lifetime.lasti
        group = groups.get(key)
        if group is None:
            groups[key] = [1, lifetime.created]
        else:
            group[0] += 1
        pace.breathe()
    ranked = sorted(groups.items(), key=lambda item: -item[1][0])[:MAX_SITES]
    return [
        {
            "type": row.name,
            "name": span_name(row.name, name),
            "site": place(site(code, lasti)),
            "count": count,
            "oldest": max(0, now - created) / 1e9,
        }
        for (row, name, code, lasti), (count, created) in ranked
    ]
