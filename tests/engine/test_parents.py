"""Which lifetime becomes the parent of which, and which are kept."""

import pytest

from lives import MS, Lives
from whence.engine import SpanLifetime, hide, make_root
from whence.engine.resource_types import (
    FUTURE,
    HANDLE,
    REQUEST,
    SERVER,
    SIGNAL_HANDLE,
    TASK,
    TIMER_HANDLE,
    TRANSPORT,
    ResourceType,
    type_named,
)


def parents(came_out: list[SpanLifetime]) -> dict[str | None, int | None]:
    """Name -> async id of the parent span; None is a root."""
    return {
        lifetime.name: lifetime.span.parent[0]
        for lifetime in came_out
        if lifetime.span is not None and lifetime.span.parent is not None
    } | {
        lifetime.name: None
        for lifetime in came_out
        if lifetime.span is not None and lifetime.span.parent is None
    }


def link_of(lifetime: SpanLifetime) -> int | None:
    """The async id of the span that it is linked to."""
    assert not isinstance(lifetime.link, SpanLifetime), "a link is settled when it comes out"
    return None if lifetime.link is None else lifetime.link.async_id


def test_what_the_top_level_triggers_roots_a_trace(lives: Lives) -> None:
    lives.live(2, "main")
    assert parents(lives.come_out()) == {"main": None}


def test_a_child_stands_under_what_triggered_it(lives: Lives) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.end(main)
    child, root = lives.come_out()
    assert parents([child, root]) == {"child": main.async_id, "main": None}
    assert child.span is not None
    assert root.span is not None
    assert child.span.trace is root.span.trace


def test_what_is_shorter_than_the_least_duration_is_no_span(lives: Lives) -> None:
    lives.live(0.999, "short")
    lives.live(1, "long")
    assert [lifetime.name for lifetime in lives.come_out()] == ["long"]


def test_a_failure_is_a_span_however_short_it_is(lives: Lives) -> None:
    lives.fail(lives.begin("failing"), ValueError("no"))
    (failing,) = lives.come_out()
    assert failing.error == ("ValueError", "no")


def test_a_cancellation_alone_is_no_reason_to_be_kept(lives: Lives) -> None:
    lives.live(0, "cancelled", outcome="cancelled")
    assert lives.come_out() == []


def test_a_callback_and_a_future_are_no_parents_but_pass_on_to_their_own(lives: Lives) -> None:
    main = lives.begin("main")
    handle = lives.record(main, HANDLE)
    future = lives.record(handle, FUTURE)
    lives.live(2, "child", by=future)
    lives.end(main)
    assert parents(lives.come_out()) == {"child": main.async_id, "main": None}


def test_a_short_parent_is_skipped_for_its_own_parent(lives: Lives) -> None:
    main = lives.begin("main")
    short = lives.begin("short", by=main)
    child = lives.begin("child", by=short)
    lives.end(short)
    lives.end(child, after=5)
    lives.end(main)
    assert parents(lives.come_out()) == {"child": main.async_id, "main": None}


def test_several_short_ancestors_are_skipped(lives: Lives) -> None:
    main = lives.begin("main")
    nearest = main
    for _ in range(5):
        nearest = lives.begin("short", by=nearest)
    child = lives.begin("child", by=nearest)
    trigger: SpanLifetime | None = nearest
    while trigger is not None and trigger is not main:
        lives.end(trigger)
        trigger = trigger.parent
    lives.end(child, after=5)
    lives.end(main)
    assert parents(lives.come_out()) == {"child": main.async_id, "main": None}


def test_an_open_parent_is_kept_for_its_child_however_short_it_will_be(lives: Lives) -> None:
    short = lives.begin("short but a parent")
    lives.fail(lives.begin("failing", by=short), ValueError())
    lives.end(short, after=0.1)
    assert parents(lives.come_out()) == {"failing": short.async_id, "short but a parent": None}


def test_every_open_ancestor_is_kept_for_a_child(lives: Lives) -> None:
    """Each of them is told by the one below when that ends, or when the child comes out."""
    chain = [lives.begin("0")]
    for depth in range(1, 5):
        chain.append(lives.begin(str(depth), by=chain[-1]))
    lives.fail(chain[-1], ValueError())
    for lifetime in reversed(chain[:-1]):
        lives.end(lifetime)
    came_out = lives.come_out()
    expected = {str(n): chain[n - 1].async_id for n in range(1, 5)}
    assert parents(came_out) == {"0": None} | expected


def test_what_asyncio_makes_for_itself_is_no_span_and_passes_on(lives: Lives) -> None:
    main = lives.begin("main")
    helper = lives.begin("_accept_connection2", by=main)
    hide(helper)
    lives.live(2, "child", by=helper)
    lives.end(helper, after=5)
    lives.end(main)
    assert parents(lives.come_out()) == {"child": main.async_id, "main": None}


def test_hiding_after_a_child_was_made_passes_it_on_too(lives: Lives) -> None:
    main = lives.begin("main")
    helper = lives.begin("helper", by=main)
    child = lives.begin("child", by=helper)
    hide(helper)
    lives.end(child, after=2)
    lives.end(helper)
    lives.end(main)
    assert parents(lives.come_out()) == {"child": main.async_id, "main": None}


@pytest.mark.parametrize("row", [REQUEST, SERVER, SIGNAL_HANDLE])
def test_a_boundary_roots_a_trace_linked_to_what_triggered_it(
    lives: Lives, row: ResourceType
) -> None:
    main = lives.begin("main")
    lives.live(2, "boundary", by=main, row=row)
    lives.end(main)
    boundary, root = lives.come_out()
    assert parents([boundary]) == {"boundary": None}
    assert link_of(boundary) == main.async_id
    assert link_of(root) is None
    assert boundary.span is not None
    assert root.span is not None
    assert boundary.span.trace is not root.span.trace


@pytest.mark.parametrize("row", [SERVER, TRANSPORT, SIGNAL_HANDLE])
def test_what_a_container_triggers_roots_a_trace_linked_to_it(
    lives: Lives, row: ResourceType
) -> None:
    container = lives.begin("container", row=row)
    lives.live(2, "inside", by=container)
    (inside,) = lives.come_out()
    assert parents([inside]) == {"inside": None}
    assert link_of(inside) == container.async_id


def test_a_container_is_seen_through_callbacks(lives: Lives) -> None:
    connection = lives.begin("accept", row=TRANSPORT)
    handle = lives.record(connection, HANDLE)
    lives.live(2, "serve", by=handle)
    (serve,) = lives.come_out()
    assert link_of(serve) == connection.async_id


def test_what_a_root_is_linked_to_is_kept_for_that(lives: Lives) -> None:
    connection = lives.begin("accept", row=TRANSPORT)
    lives.fail(lives.begin("serve", by=connection), ValueError())
    lives.end(connection)
    assert [lifetime.name for lifetime in lives.come_out()] == ["serve", "accept"]


def test_a_link_to_what_was_dropped_goes_to_its_parent(lives: Lives) -> None:
    main = lives.begin("main")
    short = lives.begin("short", by=main)
    request = lives.begin("request", by=short, row=REQUEST)
    lives.end(short)
    lives.end(request, after=2)
    (request,) = lives.come_out()
    assert link_of(request) == main.async_id


def test_a_dropped_root_leaves_its_link_to_what_it_triggered(lives: Lives) -> None:
    server = lives.begin("server", row=SERVER)
    short = lives.begin("short", by=server)
    child = lives.begin("child", by=short)
    lives.end(short)
    later = lives.begin("later", by=short)
    lives.end(child, after=2)
    lives.end(later)
    for lifetime in lives.come_out():
        assert parents([lifetime]) == {lifetime.name: None}
        assert link_of(lifetime) == server.async_id


def test_what_is_open_takes_the_link_of_a_dropped_root_too(lives: Lives) -> None:
    """It is placed before it ends, for its own child."""
    connection = lives.begin("accept", row=TRANSPORT)
    short = lives.begin("short", by=connection)
    child = lives.begin("child", by=short)
    lives.end(short)
    lives.live(2, "grandchild", by=child)
    lives.come_out()
    lives.end(child)
    (child,) = lives.come_out()
    assert link_of(child) == connection.async_id


def test_links_through_several_dropped_roots_come_to_the_first_that_is_left(lives: Lives) -> None:
    main = lives.begin("main")
    nearest = main
    for _ in range(5):
        nearest = lives.begin("request", by=nearest, row=REQUEST)
    child = lives.begin("child", by=nearest)
    trigger = nearest
    while trigger is not main:
        below, trigger = trigger, trigger.link  # type: ignore[assignment]
        lives.end(below)
    lives.end(child, after=2)
    (child,) = lives.come_out()
    assert parents([child]) == {"child": None}
    assert link_of(child) == main.async_id


def test_a_period_of_dropped_timers_keeps_nothing_of_its_past(lives: Lives) -> None:
    main = lives.begin("main")
    timer = arm(lives, by=main)
    for _ in range(50):
        after = arm(lives, by=timer)
        lives.end(timer)
        timer = after
    kept, lifetime = 0, timer
    while isinstance(lifetime.parent or lifetime.link, SpanLifetime):
        lifetime = lifetime.parent or lifetime.link  # type: ignore[assignment]
        kept += 1
    assert lifetime is main
    assert kept <= 3


def arm(lives: Lives, by: SpanLifetime) -> SpanLifetime:
    """A timer, always from the same line."""
    return lives.begin("tick", by=by, row=TIMER_HANDLE)


def test_a_timer_that_arms_itself_again_is_a_period_and_no_descent(lives: Lives) -> None:
    main = lives.begin("main")
    first = arm(lives, by=main)
    lives.wait(10)
    with lives.running(first):
        second = arm(lives, by=first)
    lives.end(first)
    lives.end(second, after=10)
    first, second = lives.come_out()
    assert parents([first]) == {"tick": main.async_id}
    assert parents([second]) == {"tick": None}
    assert link_of(second) == first.async_id


def test_a_timer_armed_again_by_a_task_of_its_own_is_a_period_too(lives: Lives) -> None:
    first = arm(lives, by=lives.begin("main"))
    task = lives.begin("task", by=first)
    lives.end(first, after=10)
    second = arm(lives, by=task)
    lives.end(task, after=2)
    lives.end(second, after=10)
    *_, second = lives.come_out()
    assert parents([second]) == {"tick": None}
    assert link_of(second) == task.async_id


def test_two_timers_from_different_lines_are_a_descent(lives: Lives) -> None:
    first = lives.begin("one", row=TIMER_HANDLE)
    lives.wait(5)
    second = lives.begin("two", by=first, row=TIMER_HANDLE)
    lives.end(first)
    lives.end(second, after=5)
    assert parents(lives.come_out()) == {"one": None, "two": first.async_id}


def test_two_timers_of_one_task_from_one_line_are_no_period(lives: Lives) -> None:
    main = lives.begin("main")
    for _ in range(2):
        lives.end(arm(lives, by=main), after=5)
    lives.end(main)
    first, second, _ = lives.come_out()
    assert parents([first]) == parents([second]) == {"tick": main.async_id}


def test_what_turns_out_to_root_a_trace_is_taken_out_of_its_parents(lives: Lives) -> None:
    main = lives.begin("main")
    connection = lives.begin("serve", by=main)
    make_root(connection)
    lives.end(connection, after=2)
    lives.end(main)
    serve, root = lives.come_out()
    assert parents([serve]) == {"serve": None}
    assert link_of(serve) == main.async_id
    assert not root.fire_and_forget


def test_a_users_type_becomes_spans_like_any_other(lives: Lives) -> None:
    query = type_named("DATABASE")
    main = lives.begin("main")
    lives.live(2, "query", by=main, row=query)
    lives.end(main)
    assert parents(lives.come_out()) == {"query": main.async_id, "main": None}


def test_a_child_that_begins_after_its_trigger_ended_still_stands_under_it(lives: Lives) -> None:
    first = lives.live(5, "first")
    lives.live(5, "then", by=first)
    assert parents(lives.come_out()) == {"first": None, "then": first.async_id}


def test_it_is_known_of_a_parent_whether_a_child_outlived_it(lives: Lives) -> None:
    forgetting = lives.begin("forgetting")
    waiting = lives.begin("waiting")
    forgotten = lives.begin("forgotten", by=forgetting)
    awaited = lives.begin("awaited", by=waiting)
    lives.end(awaited, after=5)
    lives.end(waiting)
    lives.end(forgetting)
    lives.end(forgotten, after=5)
    came_out = {lifetime.name: lifetime for lifetime in lives.come_out()}
    assert came_out["forgetting"].fire_and_forget
    assert not came_out["waiting"].fire_and_forget
    consumers = {n: c.span.consumer for n, c in came_out.items() if c.span is not None}
    assert consumers == {
        "forgetting": False,
        "waiting": False,
        "forgotten": True,
        "awaited": False,
    }


def test_times_add_up_on_the_clock_of_the_test(lives: Lives) -> None:
    task = lives.begin("task")
    lives.wait(3)
    with lives.running(task):
        lives.wait(2)
    lives.end(task, after=5)
    (task,) = lives.come_out()
    assert (task.ready, task.run, task.wait, task.steps) == (3 * MS, 2 * MS, 5 * MS, 1)
    assert task.type is TASK
