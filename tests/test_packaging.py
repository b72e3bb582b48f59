"""What a wheel and a source distribution hold."""

import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

PACKAGES = {
    "whence": "agent",
    "whence/commands": "agent/commands",
    "whence/doctor": "agent/doctor",
    "whence/engine": "agent/engine",
    "whence/listening": "agent/listening",
    "whence/live": "agent/live",
    "whence/sending": "agent/sending",
    "whence/serving": "agent/serving",
    "whence/settings": "agent/settings",
    "whence/instrumentation": "instrumentation",
    "whence/exporters": "exporters",
    "whence/exporters/metrics": "exporters/metrics",
    "whence/exporters/otlp": "exporters/otlp",
    "whence/dashboard": "dashboard",
    "whence/dashboard/receiving": "dashboard/receiving",
    "whence/dashboard/storing": "dashboard/storing",
    "whence/dashboard/views": "dashboard/views",
    "whence/sitecustomize": "sitecustomize",
    "whence/terminal": "terminal",
    "whence/examples": "examples",
    "whence/examples/demo": "examples/demo",
    "whence/examples/shop": "examples/shop",
}


def test_a_wheel_holds_every_module_at_its_place(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{package}/{path.name}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).glob("*.py")
    }
    assert expected - held == set()
    assert {name for name in held if name.endswith(".py")} == expected


def test_a_wheel_holds_the_page_of_the_dashboard(wheel: Path) -> None:
    files = {path for path in (ROOT / "dashboard" / "static").rglob("*") if path.is_file()}
    expected = {f"whence/{path.relative_to(ROOT).as_posix()}" for path in files}
    assert "whence/dashboard/static/index.html" in expected
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_every_folder_with_modules_is_packaged() -> None:
    """Packages are listed by hand: a new folder that is not would be missing from the wheel."""
    tops = (
        "agent",
        "instrumentation",
        "exporters",
        "dashboard",
        "sitecustomize",
        "terminal",
        "examples",
    )
    folders = {path.parent for top in tops for path in (ROOT / top).rglob("*.py")}
    assert {folder.relative_to(ROOT).as_posix() for folder in folders} == set(PACKAGES.values())


def test_a_wheel_puts_the_pth_file_beside_the_package(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    assert [name for name in held if name.endswith(".pth")] == ["whence.pth"]
    assert "whence/py.typed" in held


def test_the_pth_file_is_one_line_that_site_executes() -> None:
    (line,) = (ROOT / "sitecustomize" / "whence.pth").read_text(encoding="utf-8").splitlines()
    assert line.startswith('import os; os.environ.get("WHENCE_ATTACH") and ')


def test_a_source_distribution_can_test_itself(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "docker-compose.yml", "setup.py"}
    needed |= {"pyproject.toml", "sitecustomize/whence.pth", "agent/py.typed"}
    for folder in ("tests", "benchmarks", "examples"):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        names = {path.relative_to(ROOT).as_posix() for path in files}
        needed |= {name for name in names if "__pycache__" not in name}
    assert needed - held == set()
