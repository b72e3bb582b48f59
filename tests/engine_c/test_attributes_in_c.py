"""What requests share with the engine in C: attributes and names that come again are one object."""

from typing import Any

import pytest

from lives import Lives, Resource
from whence.engine import twin
from whence.engine.requests import begin_request, close_request, end_request, mounted, routed

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)


def answered(lives: Lives, *headers: tuple[bytes, bytes], status: int = 200) -> Any:
    """A request of something mounted, with texts that no other request has the objects of."""
    task = lives.begin("serve")
    task.scope = None
    with lives.running(task):
        method, scheme, template = (word.decode() for word in (b"GET", b"http", b"/{id}"))
        resource = Resource()
        scope = begin_request(resource, "serve", method, scheme, headers)
        assert scope is not None
        mounted(b"/shops".decode())
        routed(template, None)
        end_request(scope, status)
        del resource
    return scope.lifetime


def test_requests_that_say_the_same_share_it(lives: Lives) -> None:
    one, another = answered(lives), answered(lives)
    assert one.attributes is another.attributes
    assert one.name is another.name
    assert one.name == "GET /shops/{id}"
    assert answered(lives, status=404).attributes is not one.attributes


def test_a_request_that_carries_headers_shares_nothing_of_what_it_says(lives: Lives) -> None:
    header = (b"traceparent", b"somebody")
    one, another = answered(lives, header), answered(lives, header)
    assert one.attributes == another.attributes
    del one.attributes["carrier"]
    assert another.attributes["carrier"] == {"traceparent": "somebody"}
    assert one.attributes == answered(lives).attributes


def test_what_python_adds_to_one_is_not_in_the_next(lives: Lives) -> None:
    task = lives.begin("serve")
    task.scope = None
    with lives.running(task):
        resource = Resource()
        scope: Any = begin_request(resource, "serve", "GET", "http", ())
        scope.lifetime.attributes = {**scope.lifetime.attributes, "own": 1}
        routed("/{id}", None)
        close_request(scope, "done")
    assert scope.lifetime.attributes["own"] == 1
    assert "own" not in answered(lives).attributes
