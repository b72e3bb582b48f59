"""What the tests of whole programs use."""

import pytest

from launching import Launcher
from receivers import HttpReceiver
from tracing import Tracing


@pytest.fixture
def traced(launch: Launcher, http_receiver: HttpReceiver) -> Tracing:
    """Runs programs under `whence run`, and gives the spans that they sent."""
    return Tracing(launch, http_receiver)
