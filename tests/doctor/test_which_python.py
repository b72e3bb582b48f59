"""From a program to the Python that runs it."""

import os
import sys
from pathlib import Path

import pytest

from whence.commands.run import CannotRun
from whence.doctor.which_python import find_interpreter

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, in which there is nothing yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def executable(folder: Path, name: str, *lines: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return str(path)


def test_without_words_it_is_this_one() -> None:
    assert find_interpreter([]) == [PYTHON]


def test_scripts_modules_and_folders_run_on_this_one(folder: Path) -> None:
    (folder / "app.py").write_text("")
    (folder / "package").mkdir()
    (folder / "package" / "__main__.py").write_text("")
    for words in (["app.py", "--port", "1"], ["-m", "http.server"], ["-mapp"], ["package"]):
        assert find_interpreter(words) == [PYTHON]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], []),
        (["app.py", "-I"], []),
        (["-I", "-X", "dev", "app.py", "-S"], ["-I", "-X", "dev"]),
        (["-Xdev", "-Wignore", "-"], ["-Xdev", "-Wignore"]),
        (["-W", "ignore", "-m", "app", "-S"], ["-W", "ignore"]),
        (["-Im", "app"], ["-I"]),
        (["-c", "pass"], []),
        (["-ISc", "pass"], ["-IS"]),
        (["--check-hash-based-pycs", "never", "app.py"], ["--check-hash-based-pycs", "never"]),
    ],
)
def test_a_python_keeps_the_options_that_are_its_own(words: list[str], options: list[str]) -> None:
    assert find_interpreter([PYTHON, *words]) == [PYTHON, *options]


def test_a_link_to_a_python_is_not_followed(folder: Path) -> None:
    """The path of the link is what tells a Python its virtual environment."""
    (folder / "bin").mkdir()
    link = folder / "bin" / "python3"
    link.symlink_to(PYTHON)
    assert find_interpreter([str(link)]) == [str(link)]


def test_the_folder_of_a_virtual_environment_is_its_python(folder: Path) -> None:
    (folder / "venv").mkdir()
    (folder / "venv" / "pyvenv.cfg").write_text("")
    place = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    python = executable(folder / "venv", os.path.join(*place))
    assert find_interpreter([str(folder / "venv"), "-I", "app.py"]) == [python, "-I"]


@pytest.mark.parametrize(
    ("lines", "interpreter"),
    [
        ([f"#!{PYTHON}"], [PYTHON]),
        ([f"#! {PYTHON} -sP"], [PYTHON, "-sP"]),
        (["#!/usr/bin/env -S python3 -I"], ["python3", "-I"]),
        (["#!/bin/sh", f'\'\'\'exec\' "{PYTHON}" "$0" "$@"'], [PYTHON]),
        (["#!/bin/sh", f"'''exec' {PYTHON} \"$0\" \"$@\""], [PYTHON]),
    ],
)
def test_an_installed_command_names_its_python(
    lines: list[str], interpreter: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.pathsep.join([str(folder), os.path.dirname(PYTHON)])
    monkeypatch.setenv("PATH", path)
    (folder / "python3").symlink_to(PYTHON)
    executable(folder, "serve", *lines)
    expected = [str(folder / word) if word == "python3" else word for word in interpreter]
    assert find_interpreter(["serve", "app:app", "-S"]) == expected


@pytest.mark.parametrize(
    "lines", [["#!/bin/sh", "exec true"], ["no line of that kind"], ["#!"], [""]]
)
def test_what_names_no_python_is_refused_on_one_line(lines: list[str], folder: Path) -> None:
    command = executable(folder, "tool", *lines)
    with pytest.raises(CannotRun, match="expected a Python, a virtual environment, or a program"):
        find_interpreter([command])


def test_what_is_not_there_is_refused_as_by_run(folder: Path) -> None:
    with pytest.raises(CannotRun, match="no such command on PATH"):
        find_interpreter(["no_such_command"])
