"""The laws of the semantics: what holds of every program.

Each law is one function: it gives a line for everything in a run that breaks it.  A run without the
FULL hook, or without the recorder, keeps the laws about them by having nothing to look at.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from running import Run
from watching import FULL, NESTED, Heard
from whence import engine
from whence.engine.causes import MAX_DEPTH

Wrong = Iterator[str]

_USERS_OWN = frozenset({"Own", "call", NESTED, "Last"})
"""Types of AsyncResources: they may be entered at any time, also after their destroy."""

_LIVES = {
    "Handle": "i(d|bad|bda)",
    "TimerHandle": "i(d|bad|bda)",
    "Future": "i(pd|d)",
    "Task": "i(ba)*(bpad|d)",
    "Reader": "i(ba)*(d|bda)",
    "Writer": "i(ba)*(d|bda)",
    "ExecutorJob": "i(bad|d)",
    "Thread": "ibad",
    "Timer": "ibad",
}
"""Type -> its events to the end, by their initials; tasks and jobs may be cancelled or dropped."""

_ONCE = ("Handle", "TimerHandle", "ExecutorJob", "Thread", "Timer")
_REPORT = re.compile(
    r"whence: a hook callback raised:\n"
    r"Traceback \(most recent call last\):\n(?: .*\n)+\S*: planned\n"
)


def _lives(stream: list[Heard]) -> dict[int, list[Heard]]:
    lives: dict[int, list[Heard]] = defaultdict(list)
    for heard in stream:
        lives[heard.async_id].append(heard)
    return lives


def _full(run: Run) -> list[Heard]:
    return run.watch.heard[FULL] if run.watch.watched else []


def _letters(life: list[Heard]) -> str:
    return "".join(heard.event[0] for heard in life)


def nothing_was_found_wrong_meanwhile(run: Run) -> Wrong:
    """SEMANTICS 1.2 to 1.7, 2.7, 3.1 to 3.5, 6, 9.2, 10: by the model, as the program went on."""
    yield from run.watch.wrong


def ids_are_unique_and_increase(run: Run) -> Wrong:
    """SEMANTICS 1.1.  A hook that is told of a resource after one that creates another in the
    same event hears of them the other way round; FULL is always the first."""
    for number, stream in enumerate(run.watch.heard):
        ids = [heard.async_id for heard in stream if heard.event == "init"]
        if len(set(ids)) != len(ids):
            yield f"hook {number} heard an id twice: {ids}"
    # In each thread: one may be told of its resource after another has made the next.
    for thread in {heard.thread for heard in _full(run)}:
        inits = (heard for heard in _full(run) if heard.event == "init")
        ids = [heard.async_id for heard in inits if heard.thread == thread]
        if ids != sorted(ids):
            yield f"ids do not increase in thread {thread}: {ids}"


def before_and_after_are_nested_in_each_thread(run: Run) -> Wrong:
    """SEMANTICS 6.11."""
    stacks: dict[int, list[int]] = defaultdict(list)
    for heard in _full(run):
        stack = stacks[heard.thread]
        if heard.event == "before":
            stack.append(heard.async_id)
        elif heard.event == "after" and (not stack or stack.pop() != heard.async_id):
            yield f"{heard} is not the innermost"
    for thread, stack in stacks.items():
        if stack:
            yield f"thread {thread} is still in {stack}"


def a_callback_runs_under_its_own_id(run: Run) -> Wrong:
    """SEMANTICS 1.5, 1.6."""
    triggers = {heard.async_id: heard.trigger for heard in _full(run) if heard.event == "init"}
    for stream in run.watch.heard:
        for heard in stream:
            if heard.event not in ("before", "after"):
                continue
            if heard.executing != heard.async_id:
                yield f"executing is not the resource: {heard}"
            if triggers.get(heard.async_id, heard.triggering) != heard.triggering:
                yield f"not the trigger of its init: {heard}"


def the_top_level_is_reached_again(run: Run) -> Wrong:
    """SEMANTICS 1.3, 1.9."""
    ids = engine.execution_async_id(), engine.trigger_async_id()
    state = engine.local.state
    if ids != (1, 0) or state.depth or state.changed:
        yield f"after the program: {ids}, depth {state.depth}, changed {state.changed}"


def a_resource_has_one_life(run: Run) -> Wrong:
    """SEMANTICS 7.2, 6.4; init comes first, and to a hook that is always there it does come."""
    for number, stream in enumerate(run.watch.heard):
        for async_id, life in _lives(stream).items():
            events = Counter(heard.event for heard in life)
            for event in ("init", "destroy", "promise_resolve"):
                if events[event] > 1:
                    yield f"hook {number} heard {event} of {async_id} {events[event]} times"
            if events["init"] and life[0].event != "init":
                yield f"hook {number} heard of {async_id} before its init: {_letters(life)}"
            if run.watch.watched and number == FULL and not events["init"]:
                yield f"there was no init of {async_id}: {_letters(life)}"


def nothing_comes_after_destroy(run: Run) -> Wrong:
    """SEMANTICS 5.7, 7.4: but before and after of an AsyncResource, and `after` of what runs."""
    types = {heard.async_id: heard.type for heard in _full(run) if heard.event == "init"}
    for async_id, life in _lives(_full(run)).items():
        before, destroyed, after = _letters(life).partition("d")
        inside = before.count("b") - before.count("a")
        allowed = "[ba]*" if types.get(async_id) in _USERS_OWN else f"a{{{inside}}}"
        if destroyed and not re.fullmatch(allowed, after):
            yield f"{types.get(async_id)} {async_id} goes on after destroy: {_letters(life)}"


def only_tasks_and_futures_are_resolved(run: Run) -> Wrong:
    """SEMANTICS 5.13, 6.4, 6.5."""
    types = {heard.async_id: heard.type for heard in _full(run) if heard.event == "init"}
    for heard in _full(run):
        if heard.event == "promise_resolve" and types[heard.async_id] not in ("Task", "Future"):
            yield f"a {types[heard.async_id]} was resolved: {heard}"


def triggers_come_first(run: Run) -> Wrong:
    """SEMANTICS 1.7, 5.2: a trigger is known, or top level, or was given by the program."""
    known = {0, 1}
    for heard in _full(run):
        if heard.event == "init":
            if heard.trigger not in known and heard.type != "Own":
                yield f"its trigger is not known: {heard}"
            known.add(heard.async_id)


def a_life_is_that_of_its_type(run: Run) -> Wrong:
    """SEMANTICS 6.2, 6.4, 6.5, and the table of 6."""
    for async_id, life in _lives(_full(run)).items():
        expected = _LIVES.get(life[0].type)
        if life[0].type in _USERS_OWN:
            continue
        if expected is None:
            yield f"what is a {life[0].type}: {life}"
        elif not re.fullmatch(expected, _letters(life)):
            yield f"{life[0].type} {async_id} lived {_letters(life)}, not {expected}"


def what_ran_was_told_of(run: Run) -> Wrong:
    """SEMANTICS 6.2, 6.15: what ran has all its events, and ran once."""
    lives = _lives(_full(run))
    for async_id, bodies in run.watch.bodies.items():
        life = lives.get(async_id)
        if life is None or life[0].type not in _ONCE:
            continue
        letters = _letters(life)
        if bodies != 1 or sorted(letters) != sorted("ibad"):
            yield f"{life[0].type} {async_id} ran {bodies} times: {letters}"


def threads_and_jobs_end_where_they_ran(run: Run) -> Wrong:
    """SEMANTICS 6.15, and the table of 6: their destroy is not left to the collector."""
    for async_id, life in _lives(_full(run)).items():
        if life[0].type in ("Thread", "Timer", "ExecutorJob") and _letters(life) == "ibad":
            threads = {heard.thread for heard in life[1:]}
            if len(threads) != 1 or life[0].thread in threads:
                yield f"{life[0].type} {async_id} lived in several threads: {life}"


def what_is_open_is_there(run: Run) -> Wrong:
    """SEMANTICS 8.1, 8.4: what got no destroy is still there, or is to be destroyed by hand."""
    for async_id, there in run.open_while_held.items():
        if not there and async_id not in run.watch.open_forever:
            yield f"gone, and no destroy: {_lives(_full(run))[async_id]}"
    for async_id in run.watch.open_ids():
        if async_id not in run.watch.open_forever:
            yield f"never destroyed: {_lives(_full(run))[async_id]}"


def destroy_by_collection_waits(run: Run) -> Wrong:
    """SEMANTICS 8.2: no event from inside the collector; and nothing executes at the destroy."""
    for stream in run.watch.heard:
        for heard in stream:
            if heard.collecting:
                yield f"from inside the collector: {heard}"
    for life in _lives(_full(run)).values():
        if life[0].type in ("Future", "Task") and "p" not in _letters(life):
            for heard in life:
                if heard.event == "destroy" and heard.executing != 0:
                    yield f"something executes while it is collected: {heard}"


def failing_hooks_are_reported(run: Run) -> Wrong:
    """SEMANTICS 4.6: each, and nothing else on stderr."""
    reports = len(_REPORT.findall(run.said))
    if reports != run.watch.failures:
        yield f"{run.watch.failures} callbacks failed and {reports} were reported: {run.said}"


def numbers_add_up(run: Run) -> Wrong:
    """Recorded: what was created and not destroyed is in the list of what is open."""
    for type, (by_numbers, listed) in run.counts.items():
        if by_numbers != listed:
            yield f"{type}: {by_numbers} open by the numbers, {listed} in the list"


def only_what_is_there_stays_recorded(run: Run) -> Wrong:
    """Recorded: of what was dropped nothing stays open, but what is to be destroyed by hand."""
    for lifetime in run.open_at_end:
        if lifetime.async_id not in run.watch.open_forever:
            yield f"still open: {lifetime}"


def time_adds_up(run: Run) -> Wrong:
    """Recorded: run and ready are parts of a life, and no part is negative."""
    now = engine.clock()
    for lifetime in run.lifetimes:
        ended = getattr(lifetime, "ended", 0) or now
        life = ended - lifetime.created
        parts = lifetime.run, lifetime.ready
        if min(*parts, life) < 0 or sum(parts) > life:
            yield f"{lifetime}: run and ready {parts} of {life}"


def families_are_trees(run: Run) -> Wrong:
    """Recorded: no parent, link or cause leads round in a circle; children are counted down."""
    for lifetime in run.lifetimes:
        seen = set()
        ancestor = lifetime
        while ancestor is not None and ancestor not in seen:
            seen.add(ancestor)
            ancestor = ancestor.parent or getattr(ancestor, "link", None)
        if ancestor is not None:
            yield f"{lifetime} is its own ancestor"
        chain = lifetime.cause.chain() if lifetime.cause is not None else []
        if len(chain) > MAX_DEPTH + 1:
            yield f"{lifetime} has {len(chain)} causes"
        children = getattr(lifetime, "children", 0)
        if children < 0 or (children and not run.open_at_end):
            yield f"{lifetime} has {children} open children"


def asyncio_is_as_before(run: Run) -> Wrong:
    """Everything is undone when the last hook is disabled."""
    for owner, name in ((asyncio.events, "Handle"), (asyncio, "Future"), (asyncio, "Task")):
        found = getattr(owner, name)
        if found is not _STOCK[owner.__name__, name]:
            yield f"{owner.__name__}.{name} is still {found!r}"


_STOCK = {
    ("asyncio.events", "Handle"): asyncio.events.Handle,
    ("asyncio", "Future"): asyncio.Future,
    ("asyncio", "Task"): asyncio.Task,
}

LAWS: tuple[Callable[[Run], Wrong], ...] = (
    nothing_was_found_wrong_meanwhile,
    ids_are_unique_and_increase,
    before_and_after_are_nested_in_each_thread,
    a_callback_runs_under_its_own_id,
    the_top_level_is_reached_again,
    a_resource_has_one_life,
    nothing_comes_after_destroy,
    only_tasks_and_futures_are_resolved,
    triggers_come_first,
    a_life_is_that_of_its_type,
    what_ran_was_told_of,
    threads_and_jobs_end_where_they_ran,
    what_is_open_is_there,
    destroy_by_collection_waits,
    failing_hooks_are_reported,
    numbers_add_up,
    only_what_is_there_stays_recorded,
    time_adds_up,
    families_are_trees,
    asyncio_is_as_before,
)


def broken(run: Run, plain: Run) -> list[str]:
    """Every law that this run breaks, and how; `plain` is the same program without whence."""
    found = [f"{law.__name__}: {line}" for law in LAWS for line in law(run)]
    return found + [f"it_runs_as_without_whence: {line}" for line in disturbed(run, plain)]


def disturbed(run: Run, plain: Run) -> Wrong:
    """SEMANTICS 6.12, 8.4: the program is not disturbed, and its things go as they would."""
    for nth, (line, was) in enumerate(zip(run.trace, plain.trace, strict=False)):
        if line != was:
            yield f"line {nth} of its trace is {line!r}, without whence it is {was!r}"
            break
    else:
        if len(run.trace) != len(plain.trace):
            yield f"its trace has {len(run.trace)} lines, without whence {len(plain.trace)}"
    if run.unordered != plain.unordered:
        yield f"when collected: {run.unordered}, without whence: {plain.unordered}"
    if run.warned != plain.warned:
        yield f"warnings: {run.warned}, without whence: {plain.warned}"
    if _REPORT.sub("", run.said) != plain.said:
        yield f"stderr: {run.said!r}, without whence: {plain.said!r}"
    if run.alive - plain.alive:
        yield f"still alive: {run.alive - plain.alive}"
