"""What tests of which engine a process gets use."""

from pathlib import Path

import pytest

from engine_package import SUFFIX, Package, build
from launching import Launcher


@pytest.fixture
def package(tmp_path: Path, launch: Launcher, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.setenv("WHENCE_ENGINE", "c")
    return Package(tmp_path, launch)


@pytest.fixture
def whole(package: Package) -> Package:
    """The engine in C is where it belongs."""
    package.put(f"_engine{SUFFIX}", build().read_bytes())
    return package
