"""What triggers what: a graph of types and creation sites, summed up while spans pass.

The two ends of an edge seldom come together: a child ends, and is sent, before its parent.  So the
one that came first is remembered until the other comes, or until `REMEMBERED` others have come: the
graph is a picture of what is usual, and its size does not grow with time.  Its numbers are added
to the tables with every commit.
"""

import sqlite3

from .picked import Picked

MAX_NODES = 5_000
MAX_EDGES = 20_000
REMEMBERED = 40_000
"""Spans, and parents that are waited for."""

Key = tuple[int, str, str, str, int, str]
Edge = tuple[int, int, bool]


class Recent:
    """A mapping that forgets its oldest half when it is full: a dictionary that is ordered by use
    would cost more than all the rest."""

    __slots__ = ("_new", "_old")

    def __init__(self) -> None:
        self._new: dict[bytes, tuple[int, int]] = {}
        self._old: dict[bytes, tuple[int, int]] = {}

    def put(self, span_id: bytes, value: tuple[int, int]) -> None:
        """Remember one."""
        if len(self._new) >= REMEMBERED // 2:
            self._old, self._new = self._new, {}
        self._new[span_id] = value

    def get(self, span_id: bytes) -> tuple[int, int] | None:
        """The one that was remembered, if it was not forgotten."""
        return self._new.get(span_id) or self._old.get(span_id)


class Waiting:
    """Parents that have not come yet -> what waits for them: number of the node, start, link."""

    __slots__ = ("_new", "_number", "_old")

    def __init__(self) -> None:
        self._new: dict[bytes, list[tuple[int, int, bool]]] = {}
        self._old: dict[bytes, list[tuple[int, int, bool]]] = {}
        self._number = 0

    def add(self, parent: bytes, child: tuple[int, int, bool]) -> None:
        """One more waits."""
        if self._number >= REMEMBERED // 2:
            self._old, self._new, self._number = self._new, {}, 0
        self._new.setdefault(parent, []).append(child)
        self._number += 1

    def pop(self, parent: bytes) -> list[tuple[int, int, bool]]:
        """All that wait for it."""
        found = self._new.pop(parent, None)
        older = self._old.pop(parent, None)
        return (found or []) + (older or [])


class NodeSum:
    """What was added to a node since the last commit."""

    __slots__ = ("duration", "errors", "number", "ready", "run", "split", "wait")

    def __init__(self) -> None:
        self.number = self.errors = self.split = 0
        self.duration = self.run = self.ready = self.wait = 0.0


class Flow:
    """The graph, of one connection to one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.left_out_nodes = 0
        self.left_out_edges = 0
        self._recent = Recent()
        self._waiting = Waiting()
        self._sums: dict[int, NodeSum] = {}
        self._edges: dict[Edge, list[float]] = {}
        self.load()

    def load(self) -> None:
        """Begin with what the tables have, and nothing else."""
        rows = self._connection.execute(
            "SELECT id, service, type, name, file, line, function FROM flow_nodes"
        )
        self._nodes: dict[Key, int] = {tuple(row[1:]): row[0] for row in rows}
        self._next = max(self._nodes.values(), default=0) + 1
        found = self._connection.execute('SELECT "from", "to", link FROM flow_edges')
        self._known: set[Edge] = {(a, b, bool(link)) for a, b, link in found}
        self._fresh: dict[int, Key] = {}
        self._sums.clear()
        self._edges.clear()

    def see(self, span_id: bytes, parent: bytes | None, picked: Picked) -> int | None:
        """A span passes: the number of its node, None for one too many."""
        node = self._nodes.get(picked.key)
        if node is None:
            node = self._make(picked.key)
            if node is None:
                return None
        self._add(node, picked)
        start = picked.start
        self._recent.put(span_id, (node, start))
        for child, began, link in self._waiting.pop(span_id):
            self._connect(node, child, link, began - start)
        if parent is not None:
            self._look_for(parent, node, start, False)
        return node

    def see_link(self, target: bytes, node: int | None, picked: Picked) -> None:
        """The span that was seen last is linked to another."""
        if node is not None:
            self._look_for(target, node, picked.start, True)

    def write(self) -> None:
        """Add what was seen to the tables."""
        run = self._connection.executemany
        run(_NODE, ((number, *key) for number, key in self._fresh.items()))
        run(
            _SUMS,
            (
                (s.number, s.errors, s.duration, s.split, s.run, s.ready, s.wait, node)
                for node, s in self._sums.items()
            ),
        )
        run(_EDGE, ((*edge, *sums) for edge, sums in self._edges.items()))
        self._fresh.clear()
        self._sums.clear()
        self._edges.clear()

    def _make(self, key: Key) -> int | None:
        if len(self._nodes) >= MAX_NODES:
            self.left_out_nodes += 1
            return None
        number = self._nodes[key] = self._next
        self._next += 1
        self._fresh[number] = key
        return number

    def _add(self, node: int, picked: Picked) -> None:
        sums = self._sums.get(node)
        if sums is None:
            sums = self._sums[node] = NodeSum()
        sums.number += 1
        sums.errors += picked.failed
        sums.duration += picked.duration
        if picked.is_of_whence:
            sums.split += 1
            sums.run += picked.run
            sums.ready += picked.ready
            sums.wait += picked.wait

    def _look_for(self, other: bytes, node: int, start: int, link: bool) -> None:
        found = self._recent.get(other)
        if found is None:
            self._waiting.add(other, (node, start, link))
        else:
            self._connect(found[0], node, link, start - found[1])

    def _connect(self, cause: int, node: int, link: bool, between: int) -> None:
        edge = (cause, node, link)
        sums = self._edges.get(edge)
        # Clocks of two machines may differ.
        seconds = max(0, between) / 1e9
        if sums is not None:
            sums[0] += 1
            sums[1] += seconds
            sums[2] = max(sums[2], seconds)
        elif edge in self._known or len(self._known) < MAX_EDGES:
            self._known.add(edge)
            self._edges[edge] = [1, seconds, seconds]
        else:
            self.left_out_edges += 1


_NODE = """
INSERT INTO flow_nodes (id, service, type, name, file, line, function, number, errors, duration,
                        split, run, ready, wait)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)
"""
_SUMS = """
UPDATE flow_nodes SET number = number + ?, errors = errors + ?, duration = duration + ?,
    split = split + ?, run = run + ?, ready = ready + ?, wait = wait + ?
WHERE id = ?
"""
_EDGE = """
INSERT INTO flow_edges ("from", "to", link, number, between_total, between_max)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT ("from", "to", link) DO UPDATE SET number = number + excluded.number,
    between_total = between_total + excluded.between_total,
    between_max = max(between_max, excluded.between_max)
"""
