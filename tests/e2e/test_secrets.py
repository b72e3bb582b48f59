"""What a program handles stays with it: a program full of secrets, and all that it sent."""

import re
import sys

import pytest

from launching import Launcher
from receivers import HttpReceiver
from seen import spans_of
from tracing import PROGRAMS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets and shells")

ENVIRONMENT = {"TOKEN": "hush-environment"}
ARGUMENT = "--password=hush-command-line"

MUST_BE_SEEN = {
    "GET /people/{name}",
    "GET /refused",
    "GET /broken",
    "GET",
    "POST",
    "HTTP",
    "POST /vault/{path}",
    "WEBSOCKET /talk/{name}",
    "accept",
    "connect",
    "executor lose",
    "executor store",
    "server",
    "task block",
    "task fail",
    "task keep",
    "thread store",
    "timer store",
}
"""Else a program that has ended early would have no secrets to show."""

NUMBER = re.compile(r"\d{2,}|0x")
"""A port, a process id, an id, an address."""


@pytest.mark.parametrize("options", [("--no-messages",), ("--no-messages", "--stacks", "8")])
def test_a_program_full_of_secrets_gives_none_away(
    options: tuple[str, ...], launch: Launcher, http_receiver: HttpReceiver
) -> None:
    ran = launch.run(
        *("--endpoint", http_receiver.url, "--min-duration", "0", "--slow", "50", *options),
        *(str(PROGRAMS / "secretive.py"), ARGUMENT),
        env=ENVIRONMENT,
    )
    assert ran.code == 0, ran.err
    received = http_receiver.received
    spans = spans_of(received.requests)
    names = {span.name for span in spans}
    assert MUST_BE_SEEN - names == set()
    assert [name for name in names if NUMBER.search(name)] == []
    assert any(name == "whence.blocked" for span in spans for name, _ in span.events)
    sent = [*map(str, received.requests), *map(str, received.metrics), *map(str, received.headers)]
    assert {found for text in (*sent, ran.err) for found in given_away(text)} == set()


def given_away(text: str) -> set[str]:
    """The secrets in a text, with what stands beside them."""
    return set(re.findall(r".{0,60}hush.{0,30}", text, re.IGNORECASE))


def test_messages_of_exceptions_are_the_one_thing_that_is_exported_unless_told_otherwise(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    ran = launch.run(
        *("-q", "--endpoint", http_receiver.url, str(PROGRAMS / "secretive.py"), ARGUMENT),
        env=ENVIRONMENT,
    )
    assert ran.code == 0, ran.err
    for span in spans_of(http_receiver.received.requests):
        said = [span.name, *(v for k, v in span.attributes.items() if k != "error.type")]
        assert not given_away(str(said)), span
        for name, attributes in span.events:
            others = {k: v for k, v in attributes.items() if k != "exception.message"}
            assert not given_away(str(others)), (name, span)
        if span.outcome != "failed":
            assert span.status_text == ""
