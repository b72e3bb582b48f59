"""Why does the process not end, and what in it is stuck: findings, the likely culprits first.

A pure function of a Snapshot that was taken `deep`.  What keeps a process: a loop that runs until a
task is done, a loop that runs for ever, threads that are no daemons.  What a task waits for is
followed to where it ends: at something that comes by itself (a timer, a connection), or at nothing.
"""

import linecache
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..engine.sites import PLUMBING, Site, whose
from .active_resource import WAITING, ActiveResource, Hop, place
from .pace import Pace
from .primitives import Primitive
from .snapshot import Snapshot
from .threads import ThreadNow

BLOCKED = "blocked"
DEADLOCK = "deadlock"
STRANDED = "stranded"
LOCKED = "locked"
HELD = "held"
THREAD = "thread"
JOB = "job"
PROCESS = "process"
MAIN = "main"
CONNECTION = "connection"
SERVER = "server"
READER = "reader"
PERIODIC = "periodic"
TASK = "task"
SLEEP = "sleep"
RUNS = "runs"

KINDS = {
    BLOCKED: "a callback holds its loop",
    DEADLOCK: "tasks that wait for each other",
    STRANDED: "a future that nothing can settle: only who waits for it knows it",
    LOCKED: "a lock that is taken, by no task that is inside its `async with`",
    THREAD: "a thread that is no daemon",
    JOB: "a job that keeps a thread of a pool",
    PROCESS: "a subprocess that has not ended",
    MAIN: "what the main task waits for",
    CONNECTION: "a connection that is open",
    SERVER: "a server that listens",
    READER: "a descriptor that a loop watches",
    PERIODIC: "a timer that arms itself again",
    HELD: "a lock that another task keeps",
    TASK: "a task that waits",
    SLEEP: "a task that sleeps",
    RUNS: "a callback that is executing",
}
"""Kind of a finding -> what it is; the likely culprits first."""

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_LONG = 0.5
"""Seconds for which a callback may hold its loop without being found."""
_LOCKS = ("Lock", "Semaphore", "BoundedSemaphore", "Condition")
_WORKER = "_worker"
"""The function of a pool's thread."""
_WAITS_FOR_POOL = "(_do_shutdown)"
"""How the name ends of the thread in which a loop waits for its pool, whose jobs are found."""


class Line(NamedTuple):
    """A line of a path: what it is about, where it is, and what is written there."""

    label: str
    site: Site | None
    source: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON: {label, site, source}."""
        return {"label": self.label, "site": place(self.site), "source": self.source}


class Finding(NamedTuple):
    """Something that keeps the process, or is stuck."""

    kind: str
    """One of KINDS."""
    text: str
    """One line that says it."""
    async_ids: tuple[int, ...]
    """Of all the resources that it is about: the same at the same line is one finding."""
    path: tuple[Line, ...]
    """From the root, through what created what, to where it is now."""
    keeps: bool
    """Whether it keeps the process: a loop runs until it is done, or it is a thread."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field."""
        return {
            **self._asdict(),
            "async_ids": list(self.async_ids),
            "path": [line.as_dict() for line in self.path],
        }


class Answer(NamedTuple):
    """What `why` has to say."""

    pid: int
    folder: str
    """Where the process is: files may be shown relative to it."""
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field."""
        return {**self._asdict(), "findings": [one.as_dict() for one in self.findings]}


def why(snapshot: Snapshot, async_id: int | None = None) -> Answer:
    """Why the process does not end; or, of one resource, why it is there and what it waits for.

    LookupError if there is no such resource, or it has ended."""
    case = _Case(snapshot)
    if async_id is not None and async_id not in case.by_id:
        raise LookupError(f"expected the id of an open resource, not {async_id}")
    found: Iterable[Finding]
    found = case.findings() if async_id is None else case.findings_about(async_id)
    return Answer(snapshot.pid, _folder(), tuple(_merged(found)))


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


class _Same:
    """Findings of one kind at one place: of a thousand the first is kept, and all ids."""

    def __init__(self, first: Finding) -> None:
        self._first = first
        self._times = 0
        self._ids: dict[int, None] = {}
        self._keeps = False

    def add(self, one: Finding) -> None:
        self._times += 1
        self._ids.update(dict.fromkeys(one.async_ids))
        self._keeps = self._keeps or one.keeps

    def as_one(self) -> Finding:
        text = self._first.text if self._times == 1 else f"{self._times} times: {self._first.text}"
        return self._first._replace(text=text, async_ids=tuple(self._ids), keeps=self._keeps)


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """One for each kind and place, the likely culprits first."""
    places: dict[Any, _Same] = {}
    for one in findings:
        key = one.kind, tuple(line.site for line in one.path[-2:])
        if key not in places:
            places[key] = _Same(one)
        places[key].add(one)
    merged = [same.as_one() for same in places.values()]
    return sorted(merged, key=lambda one: (_RANK[one.kind], not one.keeps, one.async_ids))


class _Case:
    """One snapshot, looked through."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_id = {one.async_id: one for one in snapshot.resources}
        self.waited_for: dict[int, Primitive] = {
            task: one for one in snapshot.primitives for task in one.waiters
        }
        self.stranded = frozenset(snapshot.stranded)
        self.kept = self._reached(i for loop in snapshot.loops for i in loop.until)

    def findings(self) -> Iterator[Finding]:
        """All of them, one by one: there may be as many as resources."""
        yield from self._threads()
        in_circles: set[int] = set()
        for deadlock in self._deadlocks():
            in_circles.update(deadlock.async_ids)
            yield deadlock
        pace = Pace()
        for one in self.snapshot.resources:
            finding = None if one.async_id in in_circles else self._finding(one)
            if finding is not None:
                yield finding
            pace.breathe()

    def findings_about(self, async_id: int) -> list[Finding]:
        """Of one resource: itself, and what it waits for in the end."""
        reached = self._reached([async_id])
        found = [one for one in self.findings() if reached.intersection(one.async_ids)]
        if not any(async_id in one.async_ids for one in found):
            one = self.by_id[async_id]
            found.append(self._about(TASK, one, f"{one.name} is {one.state}"))
        return found

    def _next(self, async_id: int) -> tuple[int, ...]:
        """What a resource waits for: what it awaits, and who holds the lock."""
        one = self.by_id.get(async_id)
        lock = self.waited_for.get(async_id)
        return (
            *(() if one is None else one.awaits),
            *(() if lock is None else lock.holders),
        )

    def _reached(self, start: Iterable[int]) -> set[int]:
        reached: set[int] = set()
        waiting = list(start)
        while waiting:
            async_id = waiting.pop()
            if async_id not in reached:
                reached.add(async_id)
                waiting += self._next(async_id)
        return reached

    def _deadlocks(self) -> Iterator[Finding]:
        done: set[int] = set()
        for one in self.snapshot.resources:
            if one.type == "Task" and one.async_id not in done:
                circle = [self.by_id[i] for i in self._circle(one.async_id) if i in self.by_id]
                tasks = [one for one in circle if one.type == "Task"]
                if tasks:
                    done.update(i.async_id for i in tasks)
                    yield self._deadlock(tasks)

    def _deadlock(self, tasks: list[ActiveResource]) -> Finding:
        names = ", ".join(_called(one) for one in tasks)
        text = f"deadlock: {names} wait for each other"
        if len(tasks) == 1:
            text = f"deadlock: {names} waits for itself"
        path = [*self._made(tasks[0])]
        path += [_line(f"{_called(one)} now", one.at) for one in tasks]
        ids = tuple(one.async_id for one in tasks)
        return Finding(DEADLOCK, text, ids, tuple(path), bool(self.kept.intersection(ids)))

    def _circle(self, start: int) -> list[int]:
        """The way from a resource back to itself, if there is one."""
        came_from: dict[int, int] = {}
        waiting = [start]
        while waiting:
            async_id = waiting.pop()
            for following in self._next(async_id):
                if following == start:
                    way = [async_id]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if following not in came_from:
                    came_from[following] = async_id
                    waiting.append(following)
        return []

    def _threads(self) -> Iterator[Finding]:
        jobs = {one.thread for one in self.snapshot.resources if one.type == "ExecutorJob"}
        for thread in self.snapshot.threads:
            if thread.held_for:
                yield self._holding(thread)
            elif not (thread.main or thread.daemon or thread.ident in jobs or _is_idle(thread)):
                yield self._thread(thread)

    def _holding(self, thread: ThreadNow) -> Finding:
        one = self.by_id.get(thread.async_id)
        name = "a callback" if one is None else _called(one)
        kind, text = RUNS, f"{name} is executing"
        if thread.held_for >= _LONG:
            kind = BLOCKED
            text = f"{name} has been holding its loop for {_seconds(thread.held_for)}"
        path = () if one is None else self._made(one)
        ids = (thread.async_id,)
        return Finding(kind, text, ids, (*path, _line("now", thread.at)), True)

    def _thread(self, thread: ThreadNow) -> Finding:
        one = next(
            (
                one
                for one in self.snapshot.resources
                if one.type in ("Thread", "Timer")
                and one.thread == thread.ident
                and one.async_id == thread.async_id
            ),
            None,
        )
        text = f"thread {thread.name} is no daemon: the process waits for it to end"
        path = () if one is None else self._made(one)
        ids = () if one is None else (one.async_id,)
        return Finding(THREAD, text, ids, (*path, _line("now", thread.at)), True)

    def _finding(self, one: ActiveResource) -> Finding | None:
        if one.type == "Task":
            return self._task(one) if one.state == WAITING else None
        simple = _SIMPLE.get(one.type)
        if simple is not None and one.state in simple[2] and not _is_of_the_loop(one):
            return self._about(simple[0], one, simple[1].format(one=one, pid=_pid(one)))
        if one.type == "TimerHandle" and any(hop.name == one.name for hop in one.trigger_chain[:1]):
            return self._about(PERIODIC, one, f"{one.name} arms itself again and again")
        return None

    def _task(self, one: ActiveResource) -> Finding | None:
        """Of a task that waits for nothing that is found in its own right."""
        lock = self.waited_for.get(one.async_id)
        if self.stranded.intersection(one.awaits):
            return self._about(STRANDED, one, f"{_waits(one)}, which nothing can end", lock)
        if lock is not None and lock.type in _LOCKS and lock.condition == "locked":
            if not lock.holders:
                return self._about(LOCKED, one, f"{_waits(one)}, which nobody releases", lock)
            holder = self.by_id.get(lock.holders[0])
            text = f"{_waits(one)}, which {'another' if holder is None else _called(holder)} holds"
            return self._about(HELD, one, text, lock)
        ends = [self.by_id[i] for i in self._reached(one.awaits) if i in self.by_id]
        if any(end.type in ("Task", "ExecutorJob", "GetAddrInfo") for end in ends):
            return None
        timers = [end for end in ends if end.type == "TimerHandle"]
        if timers:
            due = "" if timers[0].due is None else f", for {_seconds(max(0.0, timers[0].due))} yet"
            return self._about(SLEEP, one, f"{_called(one)} sleeps{due}")
        if (one.waits_for or "").startswith(_IN_ITS_OWN_RIGHT):
            return None
        kind = MAIN if one.async_id in self.kept else TASK
        return self._about(kind, one, _waits(one), lock)

    def _about(
        self, kind: str, one: ActiveResource, text: str, lock: Primitive | None = None
    ) -> Finding:
        if lock is not None and lock.condition:
            text += f" ({lock.type}: {lock.condition})"
        if one.in_state is not None and one.state == WAITING and kind != SLEEP:
            text += f", for {_seconds(one.in_state)}"
        path = self._made(one)
        if one.at is not None:
            path = (*path, _line("now" if one.stack else "calls", one.at))
        if lock is not None:
            path = (*path, *self._holders(lock))
        return Finding(kind, text, (one.async_id,), path, one.async_id in self.kept)

    def _holders(self, lock: Primitive) -> Iterator[Line]:
        for async_id in lock.holders:
            holder = self.by_id.get(async_id)
            if holder is not None:
                yield _line(f"held by {_called(holder)}", holder.at)

    def _made(self, one: ActiveResource) -> tuple[Line, ...]:
        """What triggered what, from the root to it: each with the line that made it."""
        hops: list[Hop] = [hop for hop in reversed(one.trigger_chain) if hop.site is not None]
        lines = [_line(_repeated(hop), hop.site) for hop in hops]
        return (*lines, _line(_called(one), one.site))


_OPEN = ("open",)
_NOW = ("running", "ready", "open")

_SIMPLE = {
    "ExecutorJob": (JOB, "{one.name} has not returned, in a thread of a pool", _NOW),
    "Process": (PROCESS, "{one.name}{pid} has not ended", _OPEN),
    "Server": (SERVER, "{one.name} is listening", _OPEN),
    "Transport": (CONNECTION, "a connection is open ({one.name})", _OPEN),
    "DatagramTransport": (CONNECTION, "{one.name} is open", _OPEN),
    "Reader": (READER, "a {one.name} is on a loop", _OPEN),
    "Writer": (READER, "a {one.name} is on a loop", _OPEN),
}
"""Type -> the kind of a finding, its text, and the states in which it is one."""

_IN_ITS_OWN_RIGHT = ("Server.", "Process.", "SubprocessStreamProtocol.")
"""What is awaited by these is a finding itself."""


def _is_idle(thread: ThreadNow) -> bool:
    """Of a pool, without a job: it ends when the program does; or when the jobs of one do."""
    if thread.name.endswith(_WAITS_FOR_POOL):
        return True
    return any(site.function == _WORKER for site in thread.stack)


def _is_of_the_loop(one: ActiveResource) -> bool:
    """A reader of a server, a connection or the loop itself; or of a loop that was not found."""
    is_watched = one.type in ("Reader", "Writer")
    return is_watched and (one.at is None or whose(one.at.file) is PLUMBING)


def _line(label: str, site: Site | None) -> Line:
    source = "" if site is None else linecache.getline(site.file, site.line).strip()
    return Line(label, site, source)


def _repeated(hop: Hop) -> str:
    return hop.name if hop.repeats == 1 else f"{hop.name} ({hop.repeats} times)"


def _called(one: ActiveResource) -> str:
    return f"{one.name} ({one.async_id})"


def _waits(one: ActiveResource) -> str:
    return f"{_called(one)} waits for {one.waits_for or 'a future'}"


def _pid(one: ActiveResource) -> str:
    pid = one.details.get("process.pid")
    return "" if pid is None else f" (pid {pid})"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"
