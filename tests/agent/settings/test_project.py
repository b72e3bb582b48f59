from pathlib import Path

import pytest

from whence.settings.config import SettingError, resolve
from whence.settings.project import find_project_settings


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_project_that_has_settings_counts(tmp_path: Path) -> None:
    write(tmp_path, "[tool.whence]\nslow = 1\n")
    near = write(tmp_path / "a", "[tool.whence]\nslow = 2\n")
    write(tmp_path / "a/b", "[project]\nname = 'whence-user'\n")
    assert find_project_settings(str(tmp_path / "a/b/c")) == {
        "slow": (f"slow in [tool.whence] of {near}", "2")
    }


def test_toml_values_are_settings(tmp_path: Path) -> None:
    write(tmp_path, '[tool.whence]\nexport = ["otlp", "file"]\nmin-duration = 2.5\nquiet = true\n')
    chosen = resolve(environ={}, project=find_project_settings(str(tmp_path)))
    assert (chosen.export, chosen.min_duration, chosen.quiet) == (("otlp", "file"), 2.5, True)


def test_a_table_may_be_written_inline(tmp_path: Path) -> None:
    write(tmp_path, "[tool]\nwhence = {slow = 3}\n")
    layer = find_project_settings(str(tmp_path))
    assert layer is not None
    assert layer["slow"][1] == "3"


def test_a_broken_file_that_may_hold_settings_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, "[tool.whence\nslow = 1\n")
    with pytest.raises(SettingError) as caught:
        find_project_settings(str(tmp_path))
    assert str(caught.value).startswith(f"{path}: expected TOML: ")
    assert "\n" not in str(caught.value)


def test_a_broken_file_that_does_not_name_us_is_not_our_affair(tmp_path: Path) -> None:
    write(tmp_path, "[tool.\n")
    assert find_project_settings(str(tmp_path)) is None


def test_something_else_than_a_table_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "tool.whence = 5\n")
    with pytest.raises(SettingError, match="expected a table of settings, not 5"):
        find_project_settings(str(tmp_path))
