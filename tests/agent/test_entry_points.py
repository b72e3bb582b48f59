"""What other distributions offer: found wherever importlib.metadata finds it, and at what price."""

import sys
import zipfile
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from launching import Launcher
from whence.entry_points import entry_points

GROUP = "whence.tests"
OFFERED = f"[console_scripts]\nother = other:main\n\n[{GROUP}]\nfirst = lib:First\nsecond = lib\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that nobody has installed anything in yet."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(folder: Path, metadata_folder: str, offered: str) -> None:
    place = folder / metadata_folder
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Name: theirs\nVersion: 1.0\n")
    (place / "PKG-INFO").write_text("Name: theirs\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text(offered)


def found() -> list[tuple[str, str]]:
    return sorted((entry_point.name, entry_point.value) for entry_point in entry_points(GROUP))


@pytest.mark.parametrize("name", ["theirs-1.0.dist-info", "Theirs.EGG-INFO", "theirs.egg-info"])
def test_what_is_installed_in_a_folder_of_the_path_is_found(name: str, folder: Path) -> None:
    install(folder, name, OFFERED)
    assert found() == [("first", "lib:First"), ("second", "lib")]


def test_an_unpacked_egg_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "theirs.egg/EGG-INFO", OFFERED)
    monkeypatch.syspath_prepend(folder / "theirs.egg")
    assert found() == [("first", "lib:First"), ("second", "lib")]


def test_what_an_archive_on_the_path_holds_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder / "content", "theirs-1.0.dist-info", OFFERED)
    archive = folder / "theirs.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for file in (folder / "content" / "theirs-1.0.dist-info").iterdir():
            written.write(file, f"theirs-1.0.dist-info/{file.name}")
    monkeypatch.syspath_prepend(archive)
    assert found() == [("first", "lib:First"), ("second", "lib")]


def test_what_a_finder_of_somebodys_own_brings_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder / "elsewhere", "theirs-1.0.dist-info", OFFERED)

    class Finder:
        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, context: Any) -> Any:
            there = metadata.DistributionFinder.Context(
                name=context.name, path=[str(folder / "elsewhere")]
            )
            return PathFinder.find_distributions(there)

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert found() == [("first", "lib:First"), ("second", "lib")]


def test_there_is_nothing_in_another_group_an_absent_folder_or_the_metadata_of_one_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder, "theirs-1.0.dist-info", "[console_scripts]\nfirst = lib:First\n")
    (folder / "old.egg-info").write_text("Name: old\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(folder / "absent")
    assert found() == []


IMPORTED = """
import sys
from whence.entry_points import entry_points

found = [entry_point.name for entry_point in entry_points(sys.argv[1])]
print(found, "importlib.metadata" in sys.modules)
"""


def test_nothing_is_imported_where_nobody_offers_anything(launch: Launcher) -> None:
    assert launch(launch.python, "-c", IMPORTED, GROUP).out == "[] False\n"


def test_what_the_current_folder_offers_is_found(launch: Launcher) -> None:
    launch.write("theirs-1.0.dist-info/METADATA", "Name: theirs\nVersion: 1.0\n")
    launch.write("theirs-1.0.dist-info/entry_points.txt", OFFERED)
    said = launch(launch.python, "-c", IMPORTED, GROUP).out
    assert said == "['first', 'second'] True\n"
