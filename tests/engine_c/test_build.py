"""The engine in C is built with whence where there is a compiler, and left out elsewhere."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from _imp import extension_suffixes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = f"whence/_engine{extension_suffixes()[0]}"

ASK = "from whence import engine; from whence.engine import twin; print(engine.NAME, twin.why_not)"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what is built from: the build leaves things beside it."""
    copy = tmp_path / "source"
    leftovers = shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "tests", "docs", "*.so", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=leftovers)
    return copy


def install(source: Path, target: Path, **variables: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    ran = subprocess.run(
        [*command, "--no-build-isolation", "--target", str(target), str(source)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def ask(target: Path) -> str:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {ASK}"],
        env=environment | {"WHENCE_ENGINE": "c"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_without_a_compiler_whence_is_installed_without_it(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("pip")
    target = tmp_path / "target"
    install(source, target, CC=shutil.which("false") or "false")
    assert not (target / BUILD).exists()
    assert ask(target) == (
        "python it was not built when whence was installed: that takes a C compiler"
    )


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_a_wheel_holds_it_for_this_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("whence/_engine")] == [BUILD]
    assert not [name for name in names if name.endswith((".c", ".h"))]
    assert f"-cp{sys.version_info[0]}{sys.version_info[1]}-" in wheel.name


def test_a_source_distribution_holds_all_that_it_is_built_from(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    sources = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "agent" / "engine_c").glob("*.[ch]")
    }
    assert "agent/engine_c/engine.h" in sources
    assert sources - held == set()
