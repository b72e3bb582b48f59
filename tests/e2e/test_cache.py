"""A program that keeps things in a redis server, under `whence run`."""

from importlib.util import find_spec

import pytest

from drawing import check_drawing
from tracing import Tracing

DRAWING = """
    task main
        task price
            connect  CLIENT
            timer sleep
        2 x task price
            timer sleep
        task stock
            task ConnectionPool.release
        task listen
        task order
            connect  CLIENT
        2 x task AbstractConnection.disconnect
"""


OF_WAIT_FOR = "task AbstractConnection._send_packed_command"
"""On Python 3.11 alone, whose `wait_for` makes a task of what it waits for."""


@pytest.mark.parametrize(
    "loop",
    [
        "asyncio",
        pytest.param(
            "uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
        ),
    ],
)
def test_what_is_asked_of_a_cache_is_under_whoever_asks(
    traced: Tracing, redis: str, loop: str
) -> None:
    spans = traced("cache", "--min-duration", "0", loop=loop, REDIS=redis)
    check_drawing([span for span in spans if span.name != OF_WAIT_FOR], DRAWING)
