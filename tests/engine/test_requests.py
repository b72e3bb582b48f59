"""What a request of any server says, and keeps to itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lives import Lives, Resource
from whence.engine import Scope, SpanLifetime
from whence.engine.requests import (
    CARRIED,
    answered,
    asked,
    begin_request,
    close_request,
    end_request,
    is_websocket,
    mounted,
    mounts,
    open_request,
    routed,
)
from whence.engine.resource_types import TRANSPORT


def nothing(name: str) -> str | None:
    return None


@contextmanager
def serving(lives: Lives, method: str = "GET") -> Iterator[SpanLifetime]:
    """A request that is being served inside a task."""
    task = lives.begin("serve")
    task.scope = None
    with lives.running(task):
        resource = Resource()
        scope = open_request(resource, "serve")
        assert isinstance(scope, Scope)
        assert isinstance(scope.lifetime, SpanLifetime)
        asked(scope.lifetime, method, "http", nothing)
        yield scope.lifetime
        close_request(scope, "done")


def test_there_is_no_request_outside_of_a_task(lives: Lives) -> None:
    assert open_request(Resource(), "serve") is None


def test_a_request_that_takes_no_weak_references_is_none(lives: Lives) -> None:
    task = lives.begin("serve")
    task.scope = None
    with lives.running(task):
        assert open_request(object(), "serve") is None


def test_the_task_whose_coroutine_serves_the_request_becomes_transparent(lives: Lives) -> None:
    for coroutine, transparent in (("serve", True), ("another", False)):
        task = lives.begin("serve")
        task.scope = None
        with lives.running(task):
            scope = open_request(resource := Resource(), coroutine)
            assert scope is not None
            assert (scope.task, task.transparent) == (task, transparent)
            close_request(scope, "done")
            del resource


@pytest.mark.parametrize(
    ("method", "name", "said"),
    [("GET", "GET", "GET"), ("get", "HTTP", "_OTHER"), ("SECRET", "HTTP", "_OTHER")],
)
def test_only_methods_that_http_knows_are_in_a_name(
    method: str, name: str, said: str, lives: Lives
) -> None:
    with serving(lives, method) as request:
        assert request.name == name
        assert (request.attributes or {})["http.request.method"] == said


def test_the_route_of_something_mounted_is_the_whole_one(lives: Lives) -> None:
    with serving(lives) as request:
        for template in ("/shops/{shop}", "/goods"):
            routed(template + "/{path}", None)
            mounted(template)
        assert request.name == "GET /shops/{shop}/goods/{path}"
        routed("/{id}", None)
        assert request.name == "GET /shops/{shop}/goods/{id}"
    assert mounts == {}


def test_the_next_request_is_mounted_nowhere(lives: Lives) -> None:
    with serving(lives):
        mounted("/shops")
    with serving(lives) as request:
        routed("/items", None)
        assert request.name == "GET /items"


def test_a_route_that_is_found_in_a_task_of_the_request_is_the_requests(lives: Lives) -> None:
    with serving(lives) as request, lives.running(lives.begin("child", request)):
        routed("/items/{id}", nothing)
    assert (request.name, request.code) == ("GET /items/{id}", nothing.__code__)


def test_a_route_that_is_found_for_no_open_request_is_nobodys(lives: Lives) -> None:
    with serving(lives) as request:
        late = lives.begin("late", request)
    routed("/nowhere", None)
    with lives.running(late):
        routed("/too/late", None)
        mounted("/too/late")
    assert request.name == "GET"
    assert mounts == {}


def test_a_websocket_says_so_before_and_after_its_route_is_found(lives: Lives) -> None:
    with serving(lives) as request:
        is_websocket(request)
        assert request.name == "WEBSOCKET"
        routed("/rooms/{name}", None)
        assert request.name == "WEBSOCKET /rooms/{name}"
    with serving(lives) as request:
        routed("/rooms/{name}", None)
        is_websocket(request)
        assert request.name == "WEBSOCKET /rooms/{name}"
        assert (request.attributes or {})["network.protocol.name"] == "websocket"


@pytest.mark.parametrize(
    ("status", "outcome", "error"),
    [
        (200, "done", None),
        (404, "done", None),
        (500, "failed", ("500", "Internal Server Error")),
        (599, "failed", ("599", "")),
    ],
)
def test_a_status_of_the_server_s_fault_is_a_failure(
    status: int, outcome: str, error: Any, lives: Lives
) -> None:
    with serving(lives) as request:
        assert answered(request, status) == outcome
        assert request.error == error


def test_an_attribute_that_is_added_leaves_those_alone_that_are_being_read(lives: Lives) -> None:
    with serving(lives) as request:
        being_read = request.attributes
        answered(request, 200)
        routed("/items", None)
        assert request.attributes is not being_read
        assert "http.route" not in (being_read or {})


def test_headers_that_name_a_remote_parent_are_asked_for_and_no_others(lives: Lives) -> None:
    asked_for: list[str] = []

    def header(name: str) -> str | None:
        asked_for.append(name)
        return "somebody" if name == "traceparent" else None

    with serving(lives) as request:
        asked(request, "GET", "http", header)
        assert (request.attributes or {})["carrier"] == {"traceparent": "somebody"}
    assert "authorization" not in asked_for
    assert all(name == name.lower() for name in asked_for)


def test_a_header_may_be_bytes_under_names_of_the_server_s_own(lives: Lives) -> None:
    headers = {b"b3": b"caf\xe9"}
    names = tuple(name.encode() for name in CARRIED)
    with serving(lives) as request:
        asked(request, "GET", "http", headers.get, names)
        assert (request.attributes or {})["carrier"] == {"b3": "caf\xe9"}


def test_a_request_that_nothing_was_sent_with_carries_nothing(lives: Lives) -> None:
    with serving(lives) as request:
        assert request.attributes == {"http.request.method": "GET", "url.scheme": "http"}


def test_what_a_server_s_headers_raise_is_raised(lives: Lives) -> None:
    def broken(name: str) -> str:
        raise LookupError(name)

    with serving(lives) as request, pytest.raises(LookupError):
        asked(request, "GET", "http", broken)


def test_names_of_routes_that_come_again_are_right_each_time(lives: Lives) -> None:
    templates = [f"/items/{{id{number}}}" for number in range(600)]
    for _ in range(2):
        for template in templates:
            with serving(lives) as request:
                routed(template, None)
                assert request.name == f"GET {template}"


def test_requests_of_one_connection_are_linked_to_it_and_not_to_each_other(lives: Lives) -> None:
    connection = lives.begin("accept", row=TRANSPORT)
    previous: Any = connection
    for _ in range(3):
        task = lives.begin("serve", previous)
        task.scope = None
        with lives.running(task):
            scope = open_request(resource := Resource(), "serve")
            assert scope is not None
            assert isinstance(scope.lifetime, SpanLifetime)
            assert (scope.lifetime.parent, scope.lifetime.link) == (None, connection)
            close_request(scope, "done")
            del resource
        previous = scope.lifetime


@contextmanager
def begun(lives: Lives, *said: Any) -> Iterator[Scope]:
    """A request that begins with what it asks for, inside a task."""
    task = lives.begin("serve")
    task.scope = None
    with lives.running(task):
        resource = Resource()
        scope = begin_request(resource, "serve", *said)
        assert isinstance(scope, Scope)
        assert isinstance(scope.lifetime, SpanLifetime)
        yield scope
        del resource


HEADERS = [
    (b"Host", b"somewhere"),
    (b"TraceParent", b"first"),
    (b"traceparent", b"second"),
    [b"b3", b"caf\xe9"],
    (b"Referer", b"a header as long as one of those"),
]


@pytest.mark.parametrize("as_given", [tuple, list])
def test_a_request_begins_with_the_headers_that_name_a_remote_parent(
    as_given: Any, lives: Lives
) -> None:
    with begun(lives, "POST", "https", as_given(HEADERS)) as scope:
        request: Any = scope.lifetime
        assert (request.name, scope.task.transparent) == ("POST", True)
        assert request.attributes == {
            "http.request.method": "POST",
            "url.scheme": "https",
            "carrier": {"traceparent": "first", "b3": "caf\xe9"},
        }
        end_request(scope, 200)
    assert (request.open, request.outcome) == (False, "done")
    assert request.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    "headers",
    [None, [None], [(b"traceparent",)], [(b"b3", b"", b"")], iter(HEADERS), [iter(HEADERS)]],
)
def test_a_server_that_gives_no_headers_has_requests_without_a_name(
    headers: Any, lives: Lives
) -> None:
    with begun(lives, "GET", "http", headers) as scope:
        request: Any = scope.lifetime
        assert (request.name, request.attributes) == (None, None)
        assert not isinstance(headers, Iterator) or next(headers) == HEADERS[0], "it is used up"
        end_request(scope, 503)
    assert (request.outcome, request.error) == ("failed", ("503", "Service Unavailable"))


def test_there_is_no_request_that_begins_outside_of_a_task(lives: Lives) -> None:
    assert begin_request(Resource(), "serve", "GET", "http", ()) is None


def test_what_one_request_says_another_one_does_not(lives: Lives) -> None:
    said: list[Any] = []
    for number in range(600):
        with begun(lives, "GET", "http", ()) as scope:
            routed(f"/items/{number % 300}", None)
            end_request(scope, 200 + number % 2 * 204)
        said.append((scope.lifetime, number))
    for request, number in said:
        assert request.attributes == {
            "http.request.method": "GET",
            "url.scheme": "http",
            "http.route": f"/items/{number % 300}",
            "http.response.status_code": 200 + number % 2 * 204,
        }


def test_a_method_is_known_by_what_it_says_and_not_by_the_object_that_it_is(lives: Lives) -> None:
    for method in (b"GET".decode(), b"DELETE".decode()):
        with begun(lives, method, "http", ()) as scope:
            assert isinstance(scope.lifetime, SpanLifetime)
            assert scope.lifetime.name == method
            end_request(scope, 200)
