"""Trees of resources: by what triggered them, and by who awaits whom.

Pure functions from the rows of the live table, as JSON, to nodes.
"""

from typing import Any

ENDED = "ended"
SHOWN_ABOVE = "shown above"
AWAITS_ITSELF = "a circle"


class Node:
    """A resource in a tree, or one that has ended and triggered what is below it."""

    __slots__ = ("async_id", "children", "name", "note", "repeats", "resource", "site", "times")

    def __init__(
        self,
        async_id: int,
        name: str,
        site: dict[str, Any] | None,
        resource: dict[str, Any] | None = None,
        note: str = "",
        repeats: int = 1,
    ) -> None:
        self.async_id = async_id
        self.name = name
        self.site = site
        self.resource = resource
        """Its row in the live table; None if it has ended."""
        self.note = note
        self.repeats = repeats
        """How many of the same made each other in a row."""
        self.times = 1
        self.children: list[Node] = []


def by_trigger(resources: list[dict[str, Any]]) -> list[Node]:
    """Each below what triggered it, the oldest first.

    What has ended stands in between if it led to what is open, but for callbacks and futures: those
    are only steps."""
    nodes = {one["async_id"]: _node(one) for one in resources}
    has_parent: set[int] = set()
    for one in resources:
        below = nodes[one["async_id"]]
        for hop in one["trigger_chain"]:
            above = nodes.get(hop["async_id"])
            is_known = above is not None
            if above is None:
                if hop["type"] in ("Handle", "Future"):
                    continue
                above = nodes[hop["async_id"]] = Node(
                    hop["async_id"], hop["name"], hop["site"], None, ENDED, hop["repeats"]
                )
            if below.async_id not in has_parent:
                has_parent.add(below.async_id)
                above.children.append(below)
            if is_known and (above.resource is not None or above.async_id in has_parent):
                break
            below = above
    for node in nodes.values():
        node.children.sort(key=lambda child: child.async_id)
    return sorted(
        (node for node in nodes.values() if node.async_id not in has_parent),
        key=lambda node: node.async_id,
    )


def by_await(resources: list[dict[str, Any]]) -> list[Node]:
    """Below each what it awaits; first what nobody awaits, then what goes round in a circle.

    What several await is followed once."""
    rows = {one["async_id"]: one for one in resources}
    awaited = {i for one in resources for i in one["awaits"] if i in rows}
    waiting = [one for one in resources if one["awaits"] or one["type"] == "Task"]
    placed: set[int] = set()
    roots = [
        _below(one["async_id"], rows, placed) for one in waiting if one["async_id"] not in awaited
    ]
    roots += [
        _below(one["async_id"], rows, placed) for one in waiting if one["async_id"] not in placed
    ]
    return roots


def _below(root_id: int, rows: dict[int, dict[str, Any]], placed: set[int]) -> Node:
    """A tree without recursion: chains of awaits may be long."""
    root = _node(rows[root_id])
    placed.add(root_id)
    above: dict[int, int] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        assert node.resource is not None
        for async_id in node.resource["awaits"]:
            row = rows.get(async_id)
            if row is None:
                continue
            child = _node(row)
            node.children.append(child)
            if async_id not in placed:
                placed.add(async_id)
                above[async_id] = node.async_id
                waiting.append(child)
            elif _is_above(async_id, node.async_id, above):
                child.note = AWAITS_ITSELF
            else:
                child.note = SHOWN_ABOVE
    return root


def _is_above(async_id: int, below: int, above: dict[int, int]) -> bool:
    """Whether it is on the way from `below` to the root."""
    current: int | None = below
    while current is not None:
        if current == async_id:
            return True
        current = above.get(current)
    return False


def _node(one: dict[str, Any]) -> Node:
    return Node(one["async_id"], one["name"], one["site"], one)
