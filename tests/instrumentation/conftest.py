"""What tests of instrumentations share."""

import pytest

from launching import Launcher
from undisturbed import Undisturbed


@pytest.fixture
def undisturbed(launch: Launcher) -> Undisturbed:
    """Compares a program with and without whence."""
    return Undisturbed(launch)
