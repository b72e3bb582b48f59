"""Who may import whom: everything points at the core.

    instrumentation -> whence <- exporters

A file is read, not run, so that an import inside a function counts as much as one at the top.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = (
    "agent",
    "instrumentation",
    "exporters",
    "dashboard",
    "sitecustomize",
    "terminal",
    "examples",
)
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


class Import:
    """One imported module, and where in the house it was written."""

    def __init__(self, path: Path, line: int, level: int, module: str) -> None:
        self.path = path
        self.line = line
        self.level = level
        self.module = module

    @property
    def folder(self) -> str:
        return self.path.relative_to(ROOT).parts[0]

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def is_of(self, package: str) -> bool:
        return self.module == package or self.module.startswith(package + ".")

    def __repr__(self) -> str:
        where = f"{self.path.relative_to(ROOT)}:{self.line}"
        return f"{where} imports {'.' * self.level}{self.module}"


def imports_of(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, 0, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield Import(path, node.lineno, node.level, module)
            # `from whence import exporters` and `from . import run` name modules as well.
            for alias in node.names:
                name = f"{module}.{alias.name}" if module else alias.name
                yield Import(path, node.lineno, node.level, name)


IMPORTS = [found for path in FILES for found in imports_of(path)]
ABSOLUTE = [found for found in IMPORTS if found.level == 0]


def within(*folders: str) -> list[Import]:
    return [found for found in ABSOLUTE if found.folder in folders]


def test_every_folder_of_the_house_has_files() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(FOLDERS)


def test_imports_across_folders_are_found_by_this_test() -> None:
    assert any(found.is_of("whence.sitecustomize") for found in within("agent"))


def test_the_core_imports_the_standard_library_alone() -> None:
    allowed = {*sys.stdlib_module_names, "whence"}
    assert [found for found in within("agent", "sitecustomize") if found.top not in allowed] == []


@pytest.mark.parametrize(
    ("folder", "stranger"),
    [
        ("agent", "whence.instrumentation"),
        ("agent", "whence.exporters"),
        ("sitecustomize", "whence.instrumentation"),
        ("sitecustomize", "whence.exporters"),
        ("instrumentation", "whence.exporters"),
        ("instrumentation", "whence.examples"),
        ("exporters", "whence.instrumentation"),
        ("exporters", "whence.examples"),
        ("instrumentation", "whence.dashboard"),
        ("exporters", "whence.dashboard"),
        ("sitecustomize", "whence.dashboard"),
        ("dashboard", "whence.instrumentation"),
        ("dashboard", "whence.exporters"),
        ("dashboard", "whence.examples"),
        ("terminal", "whence.instrumentation"),
        ("terminal", "whence.exporters"),
        ("terminal", "whence.dashboard"),
        ("dashboard", "whence.terminal"),
    ],
)
def test_no_folder_imports_a_layer_beside_or_above_it(folder: str, stranger: str) -> None:
    assert [found for found in within(folder) if found.is_of(stranger)] == []


def test_the_core_reaches_its_layers_by_name_in_two_places_alone() -> None:
    """Beside their tables of names, `import_module("whence...")` would be an import in disguise."""
    reaching = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and name_of(call) in ("import_module", "__import__")
        for word in ast.walk(call)
        if isinstance(word, ast.Constant)
        and str(word.value).startswith(("whence.instrumentation", "whence.exporters"))
    }
    assert reaching <= {"agent/instrumenting.py", "agent/sending/pipeline.py"}


def name_of(call: ast.Call) -> str | None:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def test_only_the_command_line_reaches_the_examples() -> None:
    users = {
        found.path.relative_to(ROOT).as_posix()
        for found in within("agent")
        if found.is_of("whence.examples")
    }
    assert users == {"agent/cli.py"}


def test_only_the_verb_that_shows_it_reaches_the_terminal() -> None:
    users = {
        found.path.relative_to(ROOT).as_posix()
        for found in ABSOLUTE
        if found.is_of("whence.terminal")
    }
    assert users == {"agent/commands/top.py"}


def test_only_the_command_line_reaches_the_dashboard() -> None:
    users = {
        found.path.relative_to(ROOT).as_posix()
        for found in within("agent")
        if found.is_of("whence.dashboard")
    }
    assert users == {"agent/cli.py"}


def test_an_example_is_a_program_that_knows_nothing_of_whence() -> None:
    programs = {found.path for found in IMPORTS if found.folder == "examples"}
    programs = {path for path in programs if "demo" not in path.parts}
    assert any("shop" in path.parts for path in programs)
    assert [found for found in IMPORTS if found.path in programs and found.top == "whence"] == []


def test_only_patching_imports_wrapt() -> None:
    users = {found.path.relative_to(ROOT).as_posix() for found in IMPORTS if found.is_of("wrapt")}
    assert users <= {"instrumentation/patching.py"}


def test_only_exporters_and_what_instruments_it_import_opentelemetry() -> None:
    users = {found.path for found in IMPORTS if found.is_of("opentelemetry")}
    layers = {"exporters", "dashboard"}
    others = {path.relative_to(ROOT).as_posix() for path in users if not layers & {*path.parts}}
    assert others <= {
        "instrumentation/opentelemetry_context.py",
        "instrumentation/opentelemetry_servers.py",
        "instrumentation/opentelemetry_spans.py",
    }


def test_a_folder_does_not_call_itself_by_its_package_name() -> None:
    """Type checkers see two classes in one when a file goes by two names."""
    own = {folder: f"whence.{folder}" for folder in FOLDERS if folder != "agent"}
    across = tuple(own.values())
    wrong = [
        found
        for found in ABSOLUTE
        if (found.is_of(own[found.folder]) if found.folder in own else found.top == "whence")
        and not (found.folder == "agent" and found.module.startswith(across))
    ]
    assert wrong == []


def test_relative_imports_stay_in_their_folder() -> None:
    escaping = [
        found for found in IMPORTS if found.level > len(found.path.relative_to(ROOT).parent.parts)
    ]
    assert escaping == []


def test_the_package_that_pythonpath_may_shadow_does_nothing() -> None:
    """With the repository on PYTHONPATH, Python runs this file as the top-level sitecustomize."""
    tree = ast.parse((ROOT / "sitecustomize" / "__init__.py").read_text(encoding="utf-8"))
    kinds = [type(node) for node in tree.body]
    assert kinds == [ast.Expr, ast.Import, ast.Assign]
