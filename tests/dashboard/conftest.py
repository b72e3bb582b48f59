"""What tests of the dashboard use."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard_server import DashboardServer
from launching import Launcher
from storing import Store, store_at

StartDashboard = Callable[..., DashboardServer]


@pytest.fixture
def start_dashboard(tmp_path: Path, launch: Launcher) -> Iterator[StartDashboard]:
    """Starts real dashboards; the arguments are options."""
    started: list[DashboardServer] = []

    def start(*words: str, folder: Path = tmp_path) -> DashboardServer:
        started.append(DashboardServer(folder, launch.environment(), *words))
        return started[-1]

    yield start
    for dashboard in started:
        if dashboard.process.returncode is None:
            assert dashboard.close() == 0


@pytest.fixture
def dashboard(start_dashboard: StartDashboard) -> DashboardServer:
    """A real dashboard."""
    return start_dashboard()


@pytest.fixture(scope="module")
def shared_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardServer]:
    """A real dashboard for all tests of a file that leave it as it was."""
    launcher = Launcher(tmp_path_factory.mktemp("dashboard"))
    shared = DashboardServer(launcher.folder, launcher.environment())
    yield shared
    assert shared.close() == 0
    launcher.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database in the test's own process."""
    with store_at(tmp_path / "store.db") as made:
        yield made
