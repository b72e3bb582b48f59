"""The plug-in `pytest -p whence.testing`: which test leaves something open; a test's events."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from whence.testing import Events


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    parser.getgroup("whence").addoption(
        "--whence-leaks",
        action="store_true",
        help="fail tests that leave tasks, timers, connections, servers or threads behind",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest."""
    if config.getoption("--whence-leaks"):
        from .pytest_leaks import Leaks

        config.pluginmanager.register(Leaks(), "whence-leaks")


@pytest.fixture
def whence_events() -> "Iterator[Events]":
    """Every event of this test, in all threads: see `whence.testing.record`."""
    from whence.testing import record

    with record() as events:
        yield events
