"""Random programs: a tree of acts, and the hooks that watch it."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from acts.callbacks import CancelHandle, Later, Raise, Soon, Twins
from acts.files import WatchSocket
from acts.futures import Drop, MakeFuture, OnDone, RemoveOnDone, Settle
from acts.resources import Collect, DropResource, EmitDestroy, MakeResource, Scope, Toggle
from acts.stores import (
    AwaitWith,
    Disable,
    EnterWith,
    RunInSnapshot,
    RunWith,
    Snapshot,
    SpawnWith,
)
from acts.tasks import MAKERS, Call, CancelTask, Catch, Gather, Group, Sleep, Spawn, WaitFor
from acts.threads import THREADS, InThread, Job, ToThread
from play import Body
from watching import EVENTS, Fail, Plan, Switch
from watching import Collect as CollectInHook
from watching import MakeResource as MakeResourceInHook

DEEPEST = 3

Acts = st.SearchStrategy[Any]


@dataclass(frozen=True)
class Program:
    """What a task does, and what it starts does."""

    body: Body
    hooks: tuple[Plan, ...] = field(default=())
    debug: bool = False
    all_types: bool = False
    """Everything that is recorded may become a span."""


_which = st.integers(0, 7)
_flag = st.booleans()
_rarely = st.sampled_from((False, False, False, True))
_cancel = st.sampled_from(("never", "never", "never", "at once", "twice", "inside"))
_drop = st.sampled_from(("never", "never", "at once", "in a cycle"))
_delay = st.sampled_from(("none", "none", "tiny", "far", "past"))
_how_made = st.sampled_from(("loop", "direct", "own class"))
_settled = st.sampled_from(("result", "exception", "cancel"))
_awaited = st.sampled_from(("await", "await", "shield", "wait_for", "wait"))
_triggers = st.sampled_from((None, None, None, 0, 1, 2, 111))

_SIMPLE: tuple[Acts, ...] = (
    st.builds(CancelHandle, _which),
    st.builds(Raise),
    st.builds(MakeFuture, _how_made, _drop),
    st.builds(Settle, _which, _settled),
    st.builds(Settle, _which, _settled),
    st.builds(RemoveOnDone, _which),
    st.builds(Drop, _which),
    st.builds(CancelTask, _which),
    st.builds(MakeResource, _triggers, _flag, _drop),
    st.builds(EmitDestroy, _which),
    st.builds(DropResource, _which),
    st.builds(Collect),
    st.builds(Toggle, _which, _flag),
    st.builds(Toggle, _which, _flag),
    st.builds(EnterWith, _which),
    st.builds(Disable, _which),
    st.builds(Snapshot),
)
_SIMPLE_ASYNC: tuple[Acts, ...] = (
    st.builds(Sleep, _flag),
    st.builds(Sleep, _flag),
    st.builds(WaitFor, _which, _awaited),
    st.builds(WaitFor, _which, _awaited),
    st.builds(WaitFor, _which, _awaited),
    st.builds(WaitFor, _which, _awaited),
)


def _nested(plain: Acts, coroutine: Acts) -> tuple[Acts, ...]:
    """Acts with bodies: of callbacks, and of coroutines."""
    several = st.lists(coroutine, min_size=1, max_size=3).map(tuple)
    return (
        st.builds(Soon, plain, _cancel, _flag, _flag, _flag),
        st.builds(Later, plain, _delay, _flag, _cancel, _flag, _flag),
        st.builds(Twins, plain, _flag, _flag),
        st.builds(WatchSocket, plain, _flag, _flag, _rarely),
        st.builds(OnDone, _which, plain),
        st.builds(Spawn, coroutine, st.sampled_from(sorted(MAKERS)), _flag, _flag),
        st.builds(Spawn, coroutine),
        st.builds(Gather, several, _flag),
        st.builds(Scope, _which, plain, st.sampled_from(("run", "bind", "new"))),
        st.builds(RunWith, _which, plain, _flag),
        st.builds(SpawnWith, _which, coroutine),
        st.builds(RunInSnapshot, _which, plain, _flag),
        st.builds(InThread, plain, st.sampled_from(sorted(THREADS))),
        st.builds(InThread, coroutine, loop=st.just(True)),
        st.builds(Job, plain, _flag),
    )


def _nested_async(plain: Acts, coroutine: Acts) -> tuple[Acts, ...]:
    several = st.lists(coroutine, min_size=1, max_size=3).map(tuple)
    return (
        st.builds(Call, coroutine),
        st.builds(Catch, coroutine),
        st.builds(Catch, coroutine),
        st.builds(Group, several, coroutine),
        st.builds(AwaitWith, _which, coroutine, _flag),
        st.builds(AwaitWith, _which, coroutine, _flag),
        st.builds(ToThread, plain),
    )


_BEGINNINGS: tuple[Body, ...] = (
    (),
    (MakeFuture(), MakeFuture("direct"), MakeResource(), Snapshot()),
    (MakeFuture(), Spawn((WaitFor(0),)), Spawn((Catch((WaitFor(1),)), Sleep()), "eagerly")),
)
"""So that what comes has something to choose from."""


_errors = st.sampled_from((ValueError, SystemExit, GeneratorExit, StopIteration))
_deeds = st.one_of(
    st.builds(Switch, _which, _flag),
    st.builds(Switch, _which, _flag),
    st.builds(Fail, _errors),
    st.builds(MakeResourceInHook, _flag),
    st.builds(CollectInHook),
)
_planned = st.lists(st.tuples(st.integers(1, 20), _deeds), max_size=4).map(tuple)
_events = st.one_of(
    st.just(EVENTS),
    st.sets(st.sampled_from(EVENTS), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
)
_plans = st.lists(st.builds(Plan, _events, _flag, _planned), min_size=1, max_size=3).map(tuple)


def _body(acts: tuple[Acts, ...], longest: int) -> Acts:
    kinds = st.one_of(*acts)
    short, long = (st.lists(kinds, min_size=n, max_size=longest) for n in (0, longest // 2))
    lists = st.one_of(short, long, long)

    # Not a map(), whose repr would be that of everything below: gigabytes.
    @st.composite
    def body(draw: st.DrawFn) -> Body:
        return tuple(draw(lists))

    return body()


def _bodies() -> tuple[Acts, Acts]:
    """Of callbacks, and of coroutines."""
    plain, coroutine = _body(_SIMPLE, 3), _body(_SIMPLE + _SIMPLE_ASYNC, 3)
    for _ in range(DEEPEST - 1):
        nested = _SIMPLE + _nested(plain, coroutine)
        nested_async = _SIMPLE_ASYNC + _nested_async(plain, coroutine)
        plain, coroutine = _body(nested, 4), _body(nested + nested_async, 5)
    return plain, coroutine


_plain, _coroutine = _bodies()
_top = _body(
    _SIMPLE
    + _SIMPLE_ASYNC
    + _nested(_plain, _coroutine) * 2
    + _nested_async(_plain, _coroutine) * 2,
    12,
)


@st.composite
def _programs(draw: st.DrawFn) -> Program:
    body = draw(st.sampled_from(_BEGINNINGS)) + draw(_top)
    return Program(body, draw(_plans), debug=draw(_rarely), all_types=draw(_flag))


PROGRAMS = _programs()
