"""What tests of instrumentations share."""

import pytest
from undisturbed import Undisturbed

from launching import Launcher


@pytest.fixture
def undisturbed(launch: Launcher) -> Undisturbed:
    """Compares a program with and without whence."""
    return Undisturbed(launch)
