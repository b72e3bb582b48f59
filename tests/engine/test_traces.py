"""Places in traces: segments of long lives, and how much a trace may hold."""

import threading

from lives import MS, Lives
from whence.engine import (
    OPEN,
    SpanLifetime,
    Trace,
    Tracer,
    open_lifetimes,
    recorder,
    restart_in_child,
    ring,
)
from whence.engine.places import Span
from whence.engine.placing import MAX_DEPTH
from whence.engine.resource_types import EXECUTOR_JOB, HANDLE, REQUEST, SERVER
from whence.engine.traces import MAX_COUNTED_NAMES

SEGMENT = 60_000 * MS


def place(lifetime: SpanLifetime) -> Span:
    assert lifetime.span is not None
    return lifetime.span


def trace(lifetime: SpanLifetime) -> Trace:
    return place(lifetime).trace


def parent(lifetime: SpanLifetime) -> tuple[int, int] | None:
    """Async id and segment."""
    return place(lifetime).parent


def link(lifetime: SpanLifetime) -> tuple[int, int] | None:
    """Async id and segment."""
    target = lifetime.link
    assert target is None or isinstance(target, Span), "a link is settled when it comes out"
    return None if target is None else (target.async_id, target.segment)


# Segments


def test_a_segment_ends_the_span_and_a_linked_trace_goes_on(lives: Lives) -> None:
    main = lives.begin("main")
    began = lives.now
    lives.wait(60_000)
    first = lives.cut(main)
    lives.wait(60_000)
    second = lives.cut(main)
    lives.end(main, after=5_000)
    (last,) = lives.come_out()

    records = [first, second, last]
    assert [record.outcome for record in records] == [OPEN, OPEN, "done"]
    assert [place(record).segment for record in records] == [0, 1, 2]
    assert [parent(record) for record in records] == [None, None, None]
    assert len({trace(record) for record in records}) == 3
    assert [link(record) for record in records] == [None, (main.async_id, 0), (main.async_id, 1)]
    assert [(r.created - began) // MS for r in records] == [0, 60_000, 120_000]
    assert [(r.ended - began) // MS for r in records] == [60_000, 120_000, 125_000]


def test_the_first_segment_stands_where_the_whole_would(lives: Lives) -> None:
    main = lives.begin("main")
    worker = lives.begin("worker", by=main)
    lives.wait(60_000)
    first_of_main, first_of_worker = lives.cut(main), lives.cut(worker)
    assert parent(first_of_worker) == (main.async_id, 0)
    assert trace(first_of_worker) is trace(first_of_main)


def test_a_child_belongs_to_the_segment_in_which_it_was_created(lives: Lives) -> None:
    main = lives.begin("main")
    before = lives.begin("before", by=main)
    first = (lives.wait(60_000), lives.cut(main))[1]
    after = lives.begin("after", by=main)
    lives.end(before, after=5)
    lives.end(after)
    came_before, came_after = lives.come_out()
    assert parent(came_before) == (main.async_id, 0)
    assert trace(came_before) is trace(first)
    assert parent(came_after) == (main.async_id, 1)
    assert trace(came_after) is trace(main)


def test_a_segments_times_are_its_own(lives: Lives) -> None:
    task = lives.begin("task")
    for run in (3, 5):
        with lives.running(task):
            lives.wait(run)
        lives.wait(60_000)
    first = lives.cut(task)
    with lives.running(task):
        lives.wait(7)
    lives.end(task)
    (last,) = lives.come_out()
    assert (first.run, first.steps) == (8 * MS, 2)
    assert (last.run, last.steps) == (7 * MS, 1)
    for record in (first, last):
        assert record.run + record.ready + record.wait == record.ended - record.created


def test_a_step_that_goes_on_over_a_cut_is_shared_between_the_segments(lives: Lives) -> None:
    job = lives.begin("job", row=EXECUTOR_JOB)
    with lives.running(job):
        lives.wait(60_000)
        first = lives.cut(job)
        lives.wait(60_000)
        second = lives.cut(job)
        lives.wait(5)
    lives.end(job)
    (last,) = lives.come_out()
    assert [first.run, second.run, last.run] == [SEGMENT, SEGMENT, 5 * MS]


def test_a_first_step_that_begins_at_the_moment_of_a_cut_has_taken_no_time(lives: Lives) -> None:
    timer = lives.begin("timer")
    lives.wait(60_000)
    timer.resource = object()
    assert lives.cut(timer).run == 0


def test_what_is_cut_is_kept_to_its_end(lives: Lives) -> None:
    """However long a lifetime must be to be kept: its last segment was announced."""
    recorder.min_duration = 10 * SEGMENT
    main = lives.begin("main")
    lives.wait(60_000)
    lives.cut(main)
    lives.end(main, after=1)
    assert [record.name for record in lives.come_out()] == ["main"]


def test_the_ancestors_of_what_is_cut_are_kept(lives: Lives) -> None:
    parent_of_job = lives.begin("parent")
    job = lives.begin("job", by=parent_of_job)
    lives.wait(60_000)
    record = lives.cut(job)
    assert parent(record) == (parent_of_job.async_id, 0)
    assert parent_of_job.keep


def test_the_first_segment_takes_the_link_of_a_dropped_root(lives: Lives) -> None:
    server = lives.begin("server", row=SERVER)
    short = lives.begin("short", by=server)
    child = lives.begin("child", by=short)
    lives.end(short)
    lives.wait(60_000)
    assert link(lives.cut(child)) == (server.async_id, 0)


def test_an_end_between_the_clock_and_the_cut_makes_no_negative_time(lives: Lives) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    now = lives.now + 1000
    lives.end(main)
    lives.tracer.cut(main, now)
    (last,) = lives.come_out()
    assert last.created == last.ended


def test_due_are_the_open_ones_that_are_old_parents_first(lives: Lives) -> None:
    main = lives.begin("main")
    worker = lives.begin("worker", by=main)
    lives.live(1, "ended", by=main)
    lives.wait(60_000)
    lives.begin("young", by=main)
    assert lives.tracer.due(lives.now, SEGMENT) == [main, worker]


def test_what_was_cut_is_due_again_one_segment_later(lives: Lives) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    lives.cut(main)
    lives.wait(59_999)
    assert lives.tracer.due(lives.now, SEGMENT) == []
    lives.wait(1)
    assert lives.tracer.due(lives.now, SEGMENT) == [main]


def test_a_callback_is_never_due(lives: Lives) -> None:
    lives.record(None, HANDLE)
    lives.wait(60_000)
    assert lives.tracer.due(lives.now, SEGMENT) == []


# How much a trace may hold


def test_what_is_too_much_is_counted_on_the_nearest_ancestor_to_come(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=3)
    main = lives.begin("main")
    for _ in range(5):
        lives.live(2, "child", by=main)
    lives.live(3, "other", by=main)
    lives.end(main)
    came_out = lives.come_out()
    assert [lifetime.name for lifetime in came_out] == ["child", "child", "main"]
    assert place(came_out[-1]).counted == {
        ("Task", "child"): [3, 6 * MS],
        ("Task", "other"): [1, 3 * MS],
    }
    assert lives.tracer.counted == 4


def test_what_is_counted_does_not_count_as_a_parent(lives: Lives) -> None:
    """Whatever comes out after it stands under an ancestor of it."""
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    lives.live(2, "first", by=main)
    middle = lives.begin("middle", by=main)
    late = lives.begin("late", by=middle)
    lives.end(middle, after=2)
    assert [lifetime.name for lifetime in lives.come_out()] == ["first"]
    lives.fail(late, ValueError(), after=2)
    (late,) = lives.come_out()
    assert parent(late) == (main.async_id, 0)


def test_a_limit_counts_for_each_trace(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    for _ in range(3):
        request = lives.begin("request", row=REQUEST)
        lives.live(2, "child", by=request)
        lives.end(request)
    assert len(lives.come_out()) == 6


def test_a_full_trace_gets_no_spans_for_parents_that_are_not_placed_either(lives: Lives) -> None:
    """Each child has an open parent of its own, which would come with it."""
    lives.tracer = Tracer(max_spans=4)
    main = lives.begin("main")
    middles = [lives.begin("middle", by=main) for _ in range(10)]
    for middle in middles:
        lives.live(2, "leaf", by=middle)
    for middle in middles:
        lives.end(middle)
    lives.end(main)
    came_out = lives.come_out()
    # main, then middle and leaf; then a middle alone, whose leaf was too much.
    assert len(came_out) == 4
    assert trace(came_out[-1]).spans == len(came_out)
    assert lives.tracer.counted == 21 - len(came_out)


def test_failures_are_exported_from_a_full_trace_up_to_the_limit_again(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=3)
    main = lives.begin("main")
    for _ in range(10):
        lives.fail(lives.begin("failing", by=main), ValueError(), after=2)
    lives.end(main)
    came_out = lives.come_out()
    assert len(came_out) == 6
    assert place(came_out[-1]).counted == {("Task", "failing"): [5, 10 * MS]}


def test_a_placed_parent_comes_out_of_a_full_trace(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.come_out()
    lives.end(main)
    assert [lifetime.name for lifetime in lives.come_out()] == ["main"]


def test_what_nobody_is_left_to_count_on_is_counted_as_such(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=1)
    main = lives.live(2, "main")
    lives.come_out()
    lives.live(2, "late", by=main)
    assert lives.come_out() == []
    assert lives.tracer.counted == 1
    assert place(main).counted is None, "it has been exported already"


def test_what_a_parent_that_is_out_triggered_is_counted_on_the_root(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    started = lives.live(2, "started", by=main)
    late = lives.begin("late", by=started)
    lives.come_out()
    lives.end(late, after=2)
    assert lives.come_out() == []
    lives.end(main)
    (out,) = lives.come_out()
    assert place(out).counted == {("Task", "late"): [1, 2 * MS]}


def test_a_long_chain_of_open_parents_does_not_come_over_the_limit(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=10)
    main = lives.begin("main")
    for _ in range(8):
        lives.live(2, "child", by=main)
    chain = [main]
    for _ in range(5):
        chain.append(lives.begin("link", by=chain[-1]))
    for lifetime in reversed(chain):
        lives.end(lifetime, after=1)
    came_out = lives.come_out()
    assert len(came_out) == 10
    assert place(came_out[-1]).counted == {("Task", "link"): [4, (1 + 2 + 3 + 4) * MS]}


def test_where_there_is_no_room_for_a_chain_of_parents_the_root_stays(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    middle = lives.begin("middle", by=main)
    lives.live(2, "leaf", by=middle)
    lives.end(middle)
    lives.end(main)
    came_out = lives.come_out()
    assert [lifetime.name for lifetime in came_out] == ["middle", "main"]
    assert place(came_out[-1]).counted == {("Task", "leaf"): [1, 2 * MS]}


def test_a_link_into_a_full_trace_is_to_what_is_exported_of_it(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    middle = lives.begin("middle", by=main)
    request = lives.begin("GET /", by=middle, row=REQUEST)
    for lifetime in (request, middle, main):
        lives.end(lifetime, after=2)
    out = {lifetime.name: lifetime for lifetime in lives.come_out()}
    assert out.keys() == {"child", "GET /", "main"}
    assert link(out["GET /"]) == (main.async_id, 0)


def test_names_that_are_counted_are_limited(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=2)
    main = lives.begin("main")
    lives.live(2, "first", by=main)
    for number in range(MAX_COUNTED_NAMES + 10):
        lives.live(2, f"child {number}", by=main)
    lives.end(main)
    *_, main = lives.come_out()
    counted = place(main).counted
    assert counted is not None
    assert len(counted) == MAX_COUNTED_NAMES + 1
    assert counted["other", None] == [10, 20 * MS]


def test_a_long_life_in_a_full_trace_gets_one_of_its_own(lives: Lives) -> None:
    lives.tracer = Tracer(max_spans=1)
    main = lives.begin("main")
    workers = [lives.begin("worker", by=main) for _ in range(3)]
    lives.wait(60_000)
    first_of_main = lives.cut(main)
    records = [lives.cut(worker) for worker in workers]
    assert trace(first_of_main).spans == 1
    assert [parent(record) for record in records] == [None] * 3
    assert [link(record) for record in records] == [(main.async_id, 0)] * 3


def test_what_would_stand_too_deep_roots_a_linked_trace(lives: Lives) -> None:
    chain = [lives.begin("0")]
    for depth in range(1, 2 * MAX_DEPTH + 10):
        chain.append(lives.begin(str(depth), by=chain[-1]))
    for lifetime in reversed(chain):
        lives.end(lifetime, after=1)
    came_out = {lifetime.async_id: lifetime for lifetime in lives.come_out()}
    assert len(came_out) == len(chain)
    roots = [n for n, lifetime in enumerate(chain) if place(lifetime).parent is None]
    assert roots == [0, MAX_DEPTH + 1, 2 * (MAX_DEPTH + 1)]
    assert [link(chain[n]) for n in roots[1:]] == [(chain[n - 1].async_id, 0) for n in roots[1:]]


def test_a_chain_that_goes_on_for_ever_is_many_traces_of_bounded_depth(lives: Lives) -> None:
    """Each starts the next and ends: nobody is open, and nothing is kept of the past."""
    last = lives.live(2, "0")
    depths = set()
    for number in range(1, 500):
        last = lives.live(2, str(number), by=last)
        (out,) = lives.come_out()[-1:]
        depths.add(place(out).depth)
        assert out.parent is None
    assert max(depths) == MAX_DEPTH


# What comes between


def test_the_headers_of_a_request_go_to_its_trace(lives: Lives) -> None:
    request = lives.begin("GET /", row=REQUEST)
    request.attributes = {"carrier": {"traceparent": "00-..."}, "http.route": "/"}
    lives.live(2, "child", by=request)
    lives.end(request)
    child, request = lives.come_out()
    assert trace(child).carrier == {"traceparent": "00-..."}
    assert request.attributes == {"http.route": "/"}


def test_a_parent_that_a_fork_made_forgotten_is_waited_for_no_longer_than_a_moment(
    lives: Lives,
) -> None:
    """It says neither that it is kept nor that it is dropped: its own process reports it."""
    before = lives.begin("before the fork")
    restart_in_child()
    child = lives.begin("child", by=before)
    lives.end(child, after=2)
    lives.end(before)
    (child,) = lives.come_out()
    assert parent(child) is None


def test_a_parent_that_is_forgotten_while_open_passes_on(lives: Lives) -> None:
    before = lives.begin("before a detach")
    open_lifetimes.clear()
    lives.live(2, "child", by=before)
    (child,) = lives.come_out()
    assert parent(child) is None


def test_a_parent_that_ends_meanwhile_in_another_thread_is_settled(lives: Lives) -> None:
    """The sender meets it after it has left the list of open ones and before it has a fate."""
    ending = lives.begin("ending")
    lives.live(2, "child", by=ending)
    open_lifetimes.pop(ending.async_id)
    ending.open = False

    def tell_its_fate() -> None:
        ending.fate = "dropped"

    timer = threading.Timer(0.001, tell_its_fate)
    timer.start()
    (child,) = lives.come_out()
    timer.join()
    assert parent(child) is None


def test_what_a_full_ring_dropped_is_no_parent(lives: Lives) -> None:
    lost = lives.begin("lost")
    child = lives.begin("child", by=lost)
    capacity, ring.capacity = ring.capacity, 0
    lives.end(lost, after=2)
    ring.capacity = capacity
    lives.end(child, after=2)
    (child,) = lives.come_out()
    assert parent(child) is None


def test_a_thousand_threads_of_life_lose_nothing(lives: Lives) -> None:
    """Parents and children end in any order, in several threads, while the sender places them."""
    rounds, width = 40, 25
    done = threading.Event()
    out: list[SpanLifetime] = []

    def sender() -> None:
        while not done.is_set() or len(ring):
            out.extend(lives.come_out())

    draining = threading.Thread(target=sender)
    draining.start()

    def program(parents: list[SpanLifetime], children: list[SpanLifetime]) -> None:
        for parent_, child in zip(parents, children, strict=True):
            lives.end(parent_)
            lives.end(child)

    started = []
    for _ in range(rounds):
        parents = [lives.begin("parent") for _ in range(width)]
        children = [lives.begin("child", by=parent_) for parent_ in parents]
        lives.now += 2 * MS
        pair = [
            threading.Thread(target=program, args=(parents, children)),
            threading.Thread(target=program, args=(parents[::-1], children[::-1])),
        ]
        for thread in pair:
            thread.start()
        started += pair
    for thread in started:
        thread.join()
    done.set()
    draining.join()
    exported = {(place(lifetime).trace, place(lifetime).async_id) for lifetime in out}
    orphans = [
        lifetime
        for lifetime in out
        if (above := place(lifetime).parent) is not None
        and (place(lifetime).trace, above[0]) not in exported
    ]
    assert orphans == []
