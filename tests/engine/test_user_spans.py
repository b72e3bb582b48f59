"""Spans of the application as parents and links of what is triggered inside of them."""

import gc
import sys
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from lives import Lives
from whence.engine import (
    Lifetime,
    Span,
    SpanLifetime,
    Trace,
    TraceIdentity,
    UserSpan,
    give_way,
    hide,
    local,
    look_for_user_spans,
    make_root,
    open_lifetimes,
    place_now,
)
from whence.engine.giving_way import come_back
from whence.engine.resource_types import (
    EXECUTOR_JOB,
    HANDLE,
    REQUEST,
    SERVER,
    TASK,
    THREAD,
    TIMER,
    TIMER_HANDLE,
    ResourceType,
)


class Context(NamedTuple):
    """The ids of a span that is not ours."""

    trace_id: int
    span_id: int


class Current:
    """Which span of the application was made current, and in what."""

    def __init__(self) -> None:
        self.made: dict[int, UserSpan] = {}

    def find(self, executing: Lifetime) -> UserSpan | None:
        return self.made.get(executing.async_id)

    def make(
        self,
        executing: Lifetime,
        trace_id: int = 7,
        within: SpanLifetime | None = None,
        *,
        sampled: bool = True,
        remote: bool = False,
    ) -> UserSpan:
        """A new span, current in what executes."""
        identity = TraceIdentity(trace_id, int(sampled), None, sampled=sampled)
        user = UserSpan(identity, Context(trace_id, 70 + trace_id), within, remote=remote)
        self.made[executing.async_id] = user
        return user


@pytest.fixture
def current() -> Iterator[Current]:
    made = Current()
    look_for_user_spans(made.find)
    yield made
    look_for_user_spans(None)


def above(lifetime: SpanLifetime) -> object:
    """The context of its parent, if that is no span of ours."""
    assert lifetime.span is not None
    return lifetime.span.above


def parent(lifetime: SpanLifetime) -> int | None:
    """The async id of its parent, if that is a span of ours."""
    assert lifetime.span is not None
    return None if lifetime.span.parent is None else lifetime.span.parent[0]


def links(lifetime: SpanLifetime) -> list[tuple[object, str]]:
    """Async ids, or contexts, and the reasons."""
    found: list[tuple[object, str]] = []
    if lifetime.link is not None:
        assert not isinstance(lifetime.link, SpanLifetime)
        found.append((lifetime.link.async_id, "trigger"))
    for target, reason in lifetime.links or ():
        assert not isinstance(target, SpanLifetime)
        found.append((target.context or target.async_id, reason))
    return found


def trace_of(lifetime: SpanLifetime) -> Trace:
    assert lifetime.span is not None
    return lifetime.span.trace


def test_what_is_triggered_in_a_users_span_stands_under_it(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        user = current.make(task)
        child = lives.live(2, "child")
    assert lives.come_out() == [child]
    assert above(child) == (7, 77)
    assert parent(child) is None
    assert links(child) == []
    assert user.span is not None
    assert trace_of(child) is user.span.trace


def test_it_is_of_the_trace_of_that_span_and_sampled_as_that(
    lives: Lives, current: Current
) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task, sampled=False)
        child = lives.live(2, "child")
    lives.come_out()
    identity = trace_of(child).identity
    assert identity is not None
    assert (identity.trace_id, identity.sampled) == (7, False)


def test_of_a_remote_span_the_sampler_is_still_to_be_asked(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task, remote=True)
        child = lives.live(2, "child")
    lives.come_out()
    trace = trace_of(child)
    assert trace.identity is None
    assert trace.remote == above(child) == (7, 77)
    assert trace.root is child, "there is something for a sampler to look at"


def test_all_spans_of_one_trace_have_their_places_in_the_same(
    lives: Lives, current: Current
) -> None:
    """So its limits are those of one trace."""
    task = lives.begin("task")
    with lives.running(task):
        first = current.make(task)
        one = lives.live(2, "one")
        second = current.make(task)
        two = lives.live(2, "two")
    lives.come_out()
    assert first.span is not second.span
    assert trace_of(one) is trace_of(two)


def test_a_span_that_is_not_sampled_is_not_of_the_trace_of_those_that_are(
    lives: Lives, current: Current
) -> None:
    """Its sampler may have left it out alone, of a trace of which the rest is kept."""
    task = lives.begin("task")
    place = place_now(task)
    assert place is not None
    place.trace.identify(TraceIdentity(7, 1, None, sampled=True))
    with lives.running(task):
        sampled = current.make(task, within=task)
        left_out = current.make(task, within=task, sampled=False)
    assert sampled.span is not None
    assert left_out.span is not None
    assert sampled.span.trace is place.trace
    assert left_out.span.trace is not place.trace


def test_what_nobody_refers_to_is_forgotten(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        user = current.make(task, trace_id=9)
        assert user.span is not None
        user.span.trace.spans = 1
        del user
        current.made.clear()
        gc.collect()
        again = current.make(task, trace_id=9)
    assert again.span is not None
    assert again.span.trace.spans == 0


def test_what_executes_is_not_kept_for_the_sake_of_a_root(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task)
        child = lives.live(2, "child")
    lives.end(task, after=-1.5)
    assert lives.come_out() == [child]


def test_a_span_that_has_ended_is_a_link_and_what_triggered_is_the_parent(
    lives: Lives, current: Current
) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task).goes_on = False
        current.made[task.async_id].leads = False
        child = lives.live(2, "child")
    lives.end(task)
    lives.come_out()
    assert above(child) is None
    assert parent(child) == task.async_id
    assert links(child) == [((7, 77), "ended_user_span")]


def test_a_span_that_goes_elsewhere_is_a_link(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task).leads = False
        child = lives.live(2, "child")
    lives.end(task)
    lives.come_out()
    assert parent(child) == task.async_id
    assert links(child) == [((7, 77), "user_span")]


def test_who_was_triggered_by_another_than_executes_is_linked_to_that(
    lives: Lives, current: Current
) -> None:
    task, other = lives.begin("task"), lives.begin("other")
    with lives.running(task):
        current.make(task)
        child = lives.live(2, "child", by=other)
    lives.end(other)
    assert lives.come_out() == [child, other]
    assert above(child) == (7, 77)
    assert links(child) == [(other.async_id, "trigger")]


def test_a_short_trigger_is_kept_for_a_link(lives: Lives, current: Current) -> None:
    task, other = lives.begin("task"), lives.begin("other")
    with lives.running(task):
        current.make(task)
        child = lives.begin("child", by=other)
    lives.fail(child, ValueError(), after=0.1)
    lives.end(other, after=0.1)
    assert lives.come_out() == [child, other]


@pytest.mark.parametrize("row", [REQUEST, SERVER])
def test_a_boundary_roots_a_trace_linked_to_both(
    lives: Lives, current: Current, row: ResourceType
) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task)
        child = lives.live(2, "child", row=row)
    lives.end(task)
    lives.come_out()
    assert (parent(child), above(child)) == (None, None)
    assert links(child) == [(task.async_id, "trigger"), ((7, 77), "user_span")]


def test_what_a_container_triggers_roots_a_trace_linked_to_both(
    lives: Lives, current: Current
) -> None:
    server = lives.begin("server", row=SERVER)
    with lives.running(server):
        current.make(server)
        child = lives.live(2, "child")
    lives.end(server)
    lives.come_out()
    assert (parent(child), above(child)) == (None, None)
    assert links(child) == [(server.async_id, "trigger"), ((7, 77), "user_span")]


def test_a_timer_that_arms_itself_again_in_a_users_span_is_a_period(
    lives: Lives, current: Current
) -> None:
    def arm() -> SpanLifetime:
        return lives.begin("tick", row=TIMER_HANDLE)

    first = arm()
    with lives.running(first):
        current.make(first)
        second = arm()
    lives.end(second, after=2)
    lives.end(first)
    lives.come_out()
    assert (parent(second), above(second)) == (None, None)
    assert links(second) == [(first.async_id, "trigger"), ((7, 77), "user_span")]


def test_what_turns_out_to_root_a_trace_is_linked_to_both(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        place_now(task)
        user = current.make(task, within=task)
        child = lives.begin("child")
    make_root(child)
    assert user.children == 0
    lives.end(child, after=2)
    lives.end(task)
    lives.come_out()
    assert (parent(child), above(child)) == (None, None)
    assert links(child) == [(task.async_id, "trigger"), ((7, 77), "user_span")]


@pytest.mark.parametrize("row", [THREAD, TIMER, EXECUTOR_JOB])
def test_the_main_task_of_a_threads_loop_roots_a_trace(lives: Lives, row: ResourceType) -> None:
    """DESIGN 5, rule 2."""
    thread = lives.begin("thread", row=row)
    with lives.running(thread):
        main = lives.live(2, "main")
    lives.end(thread)
    lives.come_out()
    assert parent(main) is None
    assert links(main) == [(thread.async_id, "trigger")]


def test_what_another_thread_hands_to_a_loop_is_no_main_task(lives: Lives) -> None:
    thread = lives.begin("thread", row=THREAD)
    with lives.running(thread):
        handle = lives.record(None, HANDLE)
    with lives.running(handle):
        task = lives.live(2, "task")
    lives.end(thread)
    lives.come_out()
    assert parent(task) == thread.async_id


def test_a_main_task_stands_under_the_users_span_that_waits_for_it(
    lives: Lives, current: Current
) -> None:
    thread = lives.begin("thread", row=THREAD)
    with lives.running(thread):
        current.make(thread)
        main = lives.live(2, "main")
    lives.end(thread)
    lives.come_out()
    assert above(main) == (7, 77)
    assert links(main) == []


def test_so_does_what_the_top_level_triggers(lives: Lives, current: Current) -> None:
    current.make(local.state.current)
    main = lives.live(2, "main")
    lives.come_out()
    assert above(main) == (7, 77)


def test_what_a_short_child_of_it_triggered_stands_under_it_too(
    lives: Lives, current: Current
) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task)
        short = lives.begin("short")
    with lives.running(short):
        child = lives.begin("child")
    lives.end(short)
    lives.end(child, after=2)
    assert lives.come_out() == [child]
    assert above(child) == (7, 77)


def test_what_a_hidden_child_of_it_triggered_stands_under_it_too(
    lives: Lives, current: Current
) -> None:
    task = lives.begin("task")
    with lives.running(task):
        current.make(task)
        helper = lives.begin("helper")
    hide(helper)
    child = lives.live(2, "child", by=helper)
    lives.come_out()
    assert above(child) == (7, 77)


def test_it_knows_of_no_child_once_all_have_ended(lives: Lives, current: Current) -> None:
    task = lives.begin("task")
    with lives.running(task):
        user = current.make(task)
        child, hidden = lives.begin("child"), lives.begin("hidden")
        assert user.children == 2
    lives.end(child)
    hide(hidden)
    assert user.children == 0


class TestPlacesGivenNow:
    """What the program asks the ids of has its place, and keeps it."""

    def test_its_place_is_the_one_that_it_has_when_it_comes_out(self, lives: Lives) -> None:
        main = lives.begin("main")
        task = lives.begin("task", by=main)
        place = place_now(task)
        assert place is not None
        lives.end(task, after=2)
        lives.end(main)
        assert lives.come_out() == [task, main]
        assert task.span is place
        assert parent(task) == main.async_id
        assert trace_of(task) is trace_of(main)

    def test_it_and_its_ancestors_are_kept_however_short(self, lives: Lives) -> None:
        main = lives.begin("main")
        task = lives.begin("task", by=main)
        place_now(task)
        lives.end(task)
        lives.end(main)
        assert lives.come_out() == [task, main]

    def test_a_short_ancestor_that_has_ended_is_no_parent(self, lives: Lives) -> None:
        main = lives.begin("main")
        short = lives.begin("short", by=main)
        task = lives.begin("task", by=short)
        lives.end(short)
        place_now(task)
        lives.end(task)
        lives.end(main)
        assert lives.come_out() == [task, main]
        assert parent(task) == main.async_id

    def test_what_was_dropped_has_none(self, lives: Lives) -> None:
        task = lives.live(0.5, "task")
        assert place_now(task) is None

    def test_what_waits_to_come_out_has_one(self, lives: Lives) -> None:
        task = lives.live(2, "task")
        place = place_now(task)
        assert place is not None
        assert lives.come_out() == [task]
        assert task.span is place

    def test_what_is_forgotten_has_none_and_nobody_waits(self, lives: Lives) -> None:
        """A fork or a detach came between."""
        task = lives.begin("task")
        open_lifetimes.clear()
        assert place_now(task) is None

    def test_an_ancestor_that_is_ending_elsewhere_is_passed_over(self, lives: Lives) -> None:
        """Its thread may not have heard that it is to be kept."""
        main = lives.begin("main")
        ending = lives.begin("ending", by=main)
        task = lives.begin("task", by=ending)
        del open_lifetimes[ending.async_id]
        place = place_now(task)
        assert place is not None
        assert place.parent == (main.async_id, 0)
        assert ending.fate is None, "what becomes of it is for its own thread to say"

    def test_it_is_exported_though_its_trace_is_full(self, lives: Lives) -> None:
        lives.tracer.max_spans = 3
        main = lives.begin("main")
        asked = lives.begin("asked", by=main)
        place_now(asked)
        for _ in range(5):
            lives.live(2, "other", by=main)
        lives.end(asked)
        lives.end(main)
        came = [lifetime.name for lifetime in lives.come_out()]
        assert came.count("asked") == came.count("main") == 1
        assert came.count("other") < 5

    def test_after_a_cut_it_has_another(self, lives: Lives) -> None:
        task = lives.begin("task")
        first = place_now(task)
        lives.wait(60_000)
        record = lives.cut(task)
        second = place_now(task)
        assert record.span is first
        assert second is not first
        assert second is not None
        assert second.segment == 1

    def test_the_links_of_a_cut_one_are_those_of_its_first_segment(
        self, lives: Lives, current: Current
    ) -> None:
        task = lives.begin("task")
        with lives.running(task):
            current.make(task).leads = False
            child = lives.begin("child")
        lives.wait(60_000)
        record = lives.cut(child)
        assert links(record) == [((7, 77), "user_span")]
        lives.end(child, after=2)
        lives.come_out()
        assert child.links is None

    def test_however_many_threads_ask_it_is_given_once(self, lives: Lives) -> None:
        chain = [lives.begin("root")]
        for _ in range(300):
            chain.append(lives.begin("task", by=chain[len(chain) // 2]))
        seen: list[list[Span | None]] = []
        begin = threading.Barrier(4)

        def ask() -> None:
            begin.wait()
            seen.append([place_now(lifetime) for lifetime in chain])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert all(one == seen[0] for one in seen)
        assert seen[0] == [lifetime.span for lifetime in chain]
        assert len({id(trace_of(lifetime)) for lifetime in chain}) == 1

    def test_a_trace_has_the_first_identity_that_it_is_given(self) -> None:
        trace = Trace(None)
        first, second = (TraceIdentity(number, 1, None, sampled=True) for number in (1, 2))
        assert trace.identify(first) is first
        assert trace.identify(second) is first
        assert trace.identity is first


class TestGivingWay:
    """A request of which the application has a span of its own."""

    def test_what_it_triggered_and_triggers_stands_under_that(
        self, lives: Lives, current: Current
    ) -> None:
        request = lives.begin("GET /", row=REQUEST)
        with lives.running(request):
            before = lives.begin("before")
            give_way(request, current.make(request))
            after = lives.live(2, "after")
        lives.end(before)
        lives.end(request)
        assert lives.come_out() == [after, before]
        assert above(before) == above(after) == (7, 77)

    def test_it_is_still_counted(self, lives: Lives, current: Current) -> None:
        created, destroyed = REQUEST.created, REQUEST.destroyed
        request = lives.begin("GET /", row=REQUEST)
        give_way(request, current.make(request))
        lives.end(request, after=2)
        assert (REQUEST.created - created, REQUEST.destroyed - destroyed) == (1, 1)
        assert lives.come_out() == []

    def test_its_link_and_parent_are_forgotten(self, lives: Lives, current: Current) -> None:
        connection = lives.begin("connection")
        request = lives.begin("GET /", by=connection, row=REQUEST)
        user = current.make(request)
        give_way(request, user)
        assert (request.parent, request.link, request.links) == (user, None, None)
        assert connection.children == 0

    def test_it_comes_back_under_that_if_it_has_something_to_say(
        self, lives: Lives, current: Current
    ) -> None:
        request = lives.begin("GET /", row=REQUEST)
        user = current.make(request)
        give_way(request, user)
        assert come_back(request)
        assert not come_back(request), "once"
        lives.end(request, after=2)
        assert lives.come_out() == [request]
        assert above(request) == (7, 77)
        assert request.attributes == {"kind": "internal"}
        assert user.children == 0

    def test_no_other_hidden_lifetime_comes_back(self, lives: Lives, current: Current) -> None:
        task = lives.begin("task")
        with lives.running(task):
            current.make(task)
            helper = lives.begin("helper", row=TASK)
        hide(helper)
        assert not come_back(helper)
        assert not come_back(task)

    def test_one_that_has_ended_does_not(self, lives: Lives, current: Current) -> None:
        request = lives.begin("GET /", row=REQUEST)
        give_way(request, current.make(request))
        lives.end(request)
        assert not come_back(request)
