"""Traces that the user wants to see, by what their roots are called."""

import pytest

from lives import Lives
from whence.engine import SpanLifetime, Tracer
from whence.engine.placing import place_now
from whence.engine.resource_types import REQUEST, SERVER


@pytest.fixture
def lives(lives: Lives) -> Lives:
    """Without the health checks."""
    lives.tracer = Tracer(wants=lambda root: root.name != "GET /health")
    return lives


def names(lifetimes: list[SpanLifetime]) -> list[str | None]:
    return [lifetime.name for lifetime in lifetimes]


def test_a_trace_is_exported_whole_or_not_at_all(lives: Lives) -> None:
    for name in ("GET /health", "GET /items"):
        request = lives.begin(name, row=REQUEST)
        lives.live(2, f"child of {name}", by=request)
        lives.fail(lives.begin("failing", by=request), ValueError())
        lives.end(request)
    assert names(lives.come_out()) == ["child of GET /items", "failing", "GET /items"]
    assert (lives.tracer.counted, lives.tracer.over_rate) == (0, 0)


def test_what_outlives_the_root_goes_with_it(lives: Lives) -> None:
    """As whatever that triggers does, when the root has been forgotten."""
    request = lives.begin("GET /health", row=REQUEST)
    late = lives.begin("late", by=request)
    lives.end(request, after=2)
    assert lives.come_out() == []
    later = lives.begin("later", by=late)
    lives.end(late, after=2)
    assert lives.come_out() == []
    lives.end(later, after=2)
    assert lives.come_out() == []


def test_another_trace_that_it_started_is_exported_without_the_link(lives: Lives) -> None:
    health = lives.begin("GET /health", row=REQUEST)
    lives.live(2, "GET /items", by=health, row=REQUEST)
    lives.end(health)
    (request,) = lives.come_out()
    assert (request.name, request.link) == ("GET /items", None)


def test_its_name_is_that_of_when_something_of_it_comes_out(lives: Lives) -> None:
    """The route of a request is not known at its beginning."""
    request = lives.begin("GET", row=REQUEST)
    request.name = "GET /health"
    lives.live(2, "child", by=request)
    assert lives.come_out() == []
    request.name = "GET /other"
    lives.end(request)
    assert lives.come_out() == []


def test_it_comes_in_no_segments(lives: Lives) -> None:
    server = lives.begin("server", row=SERVER)
    health = lives.begin("GET /health", row=REQUEST)
    child = lives.begin("child", by=health)
    lives.wait(60_000)
    assert lives.tracer.due(lives.now, 60_000) == [server]
    for lifetime in (child, health):
        lives.end(lifetime)
    assert lives.come_out() == []


def test_segments_of_what_is_wanted_are_so_too(lives: Lives) -> None:
    main = lives.begin("main")
    lives.wait(60_000)
    assert lives.cut(main).name == "main"
    lives.live(2, "child", by=main)
    lives.end(main)
    assert names(lives.come_out()) == ["child", "main"]


def test_what_goes_on_in_another_trace_is_wanted_as_that_was(lives: Lives) -> None:
    """Whatever is the root of what goes on: the trace was too deep."""
    for name, number in (("GET /items", 60), ("GET /health", 0)):
        chain = [lives.begin(name, row=REQUEST)]
        for _ in range(58):
            chain.append(lives.begin("link", by=chain[-1]))
        chain.append(lives.begin("GET /health", by=chain[-1]))
        for lifetime in reversed(chain):
            lives.end(lifetime, after=1)
        assert len(lives.come_out()) == number


def test_one_that_the_program_refers_to_is_exported(lives: Lives) -> None:
    request = lives.begin("GET /health", row=REQUEST)
    assert place_now(request) is not None
    lives.live(2, "child", by=request)
    lives.end(request)
    assert names(lives.come_out()) == ["child", "GET /health"]


def test_it_takes_no_room_of_a_rate(lives: Lives) -> None:
    lives.tracer = Tracer(max_rate=2, wants=lives.tracer.wants)
    for _ in range(10):
        lives.live(2, "GET /health", row=REQUEST)
    assert lives.come_out() == []
    lives.live(2, "GET /items", row=REQUEST)
    assert names(lives.come_out()) == ["GET /items"]
    assert lives.tracer.over_rate == 0
