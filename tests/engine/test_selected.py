"""Lifetimes that are left out by name: when it is decided, and what becomes of their family."""

from collections.abc import Callable, Iterator

import pytest

from lives import Lives, lives_on_a_clock_of_their_own
from whence.engine import Lifetime, SpanLifetime, hide, open_lifetimes, recorder, ring
from whence.engine.lifetimes import KEPT
from whence.engine.places import Span
from whence.engine.recorder import conclude
from whence.engine.resource_types import EXECUTOR_JOB, HANDLE, SERVER, TASK
from whence.engine.selected import is_left_out, select

Without = Callable[..., None]


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    with lives_on_a_clock_of_their_own(monkeypatch) as made:
        yield made
        select(None)


@pytest.fixture
def without() -> Without:
    """Leaves out what has one of these names."""

    def leave_out(*names: str) -> None:
        select(lambda lifetime: lifetime.name not in names)

    return leave_out


def names(lifetimes: list[SpanLifetime]) -> list[str | None]:
    return [lifetime.name for lifetime in lifetimes]


def parent(lifetime: SpanLifetime) -> int | None:
    assert lifetime.span is not None
    return None if lifetime.span.parent is None else lifetime.span.parent[0]


def test_what_is_left_out_is_no_span_and_is_counted(lives: Lives, without: Without) -> None:
    without("poll")
    created, destroyed = TASK.created, TASK.destroyed
    lives.live(5, "poll")
    lives.live(5, "checkout")
    assert names(lives.come_out()) == ["checkout"]
    assert (TASK.created - created, TASK.destroyed - destroyed) == (2, 2)


def test_what_it_triggered_belongs_to_its_nearest_ancestor(lives: Lives, without: Without) -> None:
    without("poll", "poll once")
    main = lives.begin("main")
    poll = lives.begin("poll", by=main)
    once = lives.begin("poll once", by=poll)
    lives.live(5, "fetch", by=once)
    for lifetime in (once, poll, main):
        lives.end(lifetime, after=5)
    fetch, last = lives.come_out()
    assert (fetch.name, last.name) == ("fetch", "main")
    assert parent(fetch) == main.async_id


def test_what_a_left_out_root_triggered_roots_a_trace(lives: Lives, without: Without) -> None:
    without("main")
    lives.live(5, "fetch", by=lives.begin("main"))
    (fetch,) = lives.come_out()
    assert parent(fetch) is None


def test_what_is_behind_a_left_out_connection_is_linked_to_its_server(
    lives: Lives, without: Without
) -> None:
    without("main")
    server = lives.begin("server", row=SERVER)
    lives.live(5, "serve", by=lives.begin("main", by=server))
    lives.end(server)
    serve, _ = lives.come_out()
    assert parent(serve) is None
    assert isinstance(serve.link, Span)
    assert serve.link.async_id == server.async_id


def test_it_is_decided_with_the_name_that_comes_after_its_creation(
    lives: Lives, without: Without
) -> None:
    without("poll", None)
    lifetime = lives.begin(None)
    lifetime.name = "checkout"
    lives.end(lifetime, after=5)
    assert names(lives.come_out()) == ["checkout"]


def test_it_is_decided_once_by_the_first_that_asks(lives: Lives) -> None:
    asked: list[SpanLifetime] = []

    def wanted(lifetime: SpanLifetime) -> bool:
        asked.append(lifetime)
        return True

    select(wanted)
    main = lives.begin("main")
    assert asked == []
    child = lives.begin("child", by=main)
    assert asked == [main]
    lives.begin("child", by=main)
    lives.end(child)
    lives.end(main)
    assert asked == [main, child]


def test_a_callback_between_makes_no_difference(lives: Lives, without: Without) -> None:
    without("poll")
    main = lives.begin("main")
    poll = lives.begin("poll", by=main)
    lives.live(5, "fetch", by=lives.record(poll, HANDLE))
    lives.end(poll)
    lives.end(main)
    assert parent(lives.come_out()[0]) == main.async_id


def test_a_failure_that_is_left_out_stays_out(lives: Lives, without: Without) -> None:
    without("poll")
    lives.fail(lives.begin("poll"), ValueError(), after=5)
    assert lives.come_out() == []


def test_what_somebody_refers_to_already_is_not_left_out(lives: Lives, without: Without) -> None:
    without("poll")
    lifetime = lives.begin("poll")
    lifetime.keep = True
    lives.end(lifetime)
    assert lifetime.fate is KEPT
    assert names(lives.come_out()) == ["poll"]


def test_what_is_left_out_leaves_nothing_open_on_its_parent(lives: Lives, without: Without) -> None:
    """Else the parent would seem to have started something and not to have waited for it."""
    without("job")
    main = lives.begin("main")
    concluded = lives.begin("job", by=main, row=EXECUTOR_JOB)
    with lives.running(concluded):
        conclude(concluded)
    lives.end(concluded)
    lives.live(5, "job", by=main)
    lives.begin("child", by=lives.begin("job", by=main))
    assert main.children == 1


def test_what_asyncio_made_for_itself_is_hidden_and_not_left_out(
    lives: Lives, without: Without
) -> None:
    without("poll")
    own, poll, task = (lives.begin(name) for name in ("own", "poll", "task"))
    hide(own)
    plain: Lifetime = lives.record(None, HANDLE)
    assert [is_left_out(it) for it in (own, poll, task, plain)] == [False, True, False, False]
    assert [it.transparent for it in (own, poll, task)] == [True, True, False]


def test_what_is_left_out_and_open_for_long_comes_in_no_segments(
    lives: Lives, without: Without
) -> None:
    without("forever")
    lives.begin("forever")
    main = lives.begin("main")
    lives.wait(60_000)
    assert lives.tracer.due(lives.now, 60_000) == [main]


def test_a_selection_that_fails_disturbs_nobody(lives: Lives) -> None:
    def broken(lifetime: SpanLifetime) -> bool:
        raise LookupError

    select(broken)
    lives.live(5, "main")
    assert len(ring) == len(open_lifetimes) == 0


def test_without_a_selection_lifetimes_are_what_they_always_are(lives: Lives) -> None:
    select(lambda lifetime: False)
    select(None)
    assert recorder.lifetime is SpanLifetime
    assert type(lives.begin("main")) is SpanLifetime
