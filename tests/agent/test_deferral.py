"""Doing something once the program has imported a library."""

import importlib
import importlib.util
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import Any

import pytest

from whence.deferral import forget_all, when_imported, while_importing
from whence.engine import instrumented


class Library:
    """Modules of a folder on sys.path, and what has happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[str] = []

    def add(self, name: str, source: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    def expect(self, module: str) -> None:
        when_imported(module, lambda: self.log.append(f"{module} imported"))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    assert not instrumented()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield Library(tmp_path)
    forget_all()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_what_is_imported_already_is_not_waited_for(library: Library) -> None:
    library.expect("sys")
    assert library.log == ["sys imported"]


def test_waiting_imports_nothing(library: Library) -> None:
    library.add("lib.py", "raise LookupError")
    library.expect("lib")
    assert "lib" not in sys.modules
    assert library.log == []


def test_the_callback_comes_after_the_modules_code_and_before_the_import_returns(
    library: Library,
) -> None:
    library.add("lib.py", "VALUE = 1")
    seen: list[int] = []
    when_imported("lib", lambda: seen.append(sys.modules["lib"].VALUE))
    importlib.import_module("lib")
    assert seen == [1]


def test_it_comes_once_also_if_the_module_is_loaded_again(library: Library) -> None:
    library.add("lib.py")
    library.expect("lib")
    module = importlib.import_module("lib")
    importlib.import_module("lib")
    importlib.reload(module)
    del sys.modules["lib"]
    importlib.import_module("lib")
    assert library.log == ["lib imported"]


def test_several_wait_in_the_order_in_which_they_came(library: Library) -> None:
    library.add("lib.py")
    seen: list[str] = []
    for name in "abc":
        when_imported("lib", lambda name=name: seen.append(name))  # type: ignore[misc]
    importlib.import_module("lib")
    assert seen == ["a", "b", "c"]


def test_a_submodule_is_waited_for_by_its_full_name(library: Library) -> None:
    library.add("package/__init__.py")
    library.add("package/inner.py")
    library.expect("package.inner")
    library.expect("package")
    importlib.import_module("package")
    assert library.log == ["package imported"]
    importlib.import_module("package.inner")
    assert library.log == ["package imported", "package.inner imported"]


def test_a_library_that_imports_another_that_is_waited_for(library: Library) -> None:
    library.add("outer.py", "import inner")
    library.add("inner.py")
    library.expect("outer")
    library.expect("inner")
    importlib.import_module("outer")
    assert library.log == ["inner imported", "outer imported"]


def test_a_failed_import_is_no_import(library: Library) -> None:
    library.add("lib.py", "raise LookupError")
    library.expect("lib")
    with pytest.raises(LookupError):
        importlib.import_module("lib")
    assert library.log == []
    library.add("lib.py", "VALUE = 'another size'")
    importlib.invalidate_caches()
    importlib.import_module("lib")
    assert library.log == ["lib imported"]


def test_a_missing_module_is_missing(library: Library) -> None:
    library.expect("no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
    assert importlib.util.find_spec("no_such_module") is None


def test_looking_for_a_module_is_not_importing_it(library: Library) -> None:
    library.add("lib.py")
    library.expect("lib")
    spec = importlib.util.find_spec("lib")
    assert spec is not None
    assert spec.origin == str(library.folder / "lib.py")
    assert library.log == []
    importlib.import_module("lib")
    assert library.log == ["lib imported"]


def test_nothing_of_it_stays_on_the_module(library: Library) -> None:
    library.add("lib.py")
    library.add("plain.py")
    library.expect("lib")
    module, plain = importlib.import_module("lib"), importlib.import_module("plain")
    assert module.__spec__ is not None
    assert module.__loader__ is module.__spec__.loader
    assert type(module.__loader__) is type(plain.__loader__)
    assert vars(module.__loader__).keys() == vars(plain.__loader__).keys()
    assert vars(module).keys() == vars(plain).keys()


@pytest.mark.parametrize(
    ("name", "loader"),
    [("_symtable", BuiltinImporter), ("__hello__", FrozenImporter)],
    ids=["built-in", "frozen"],
)
def test_modules_whose_loader_is_a_class_leave_that_class_as_it_was(
    library: Library, monkeypatch: pytest.MonkeyPatch, name: str, loader: type
) -> None:
    """All built-in and all frozen modules share it."""
    monkeypatch.delitem(sys.modules, name, raising=False)
    before = dict(vars(loader))
    library.expect(name)
    module: Any = importlib.import_module(name)
    assert library.log == [f"{name} imported"]
    assert module.__spec__.loader is module.__loader__ is loader
    assert dict(vars(loader)) == before


def test_a_module_in_a_zip_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """All modules of the file share one loader."""
    archive = library.folder / "libs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", "import zipped_too\nVALUE = 1\n")
        file.writestr("zipped_too.py", "VALUE = 2\n")
    monkeypatch.syspath_prepend(archive)
    library.expect("zipped")
    library.expect("zipped_too")
    zipped = importlib.import_module("zipped")
    assert zipped.VALUE == 1
    assert zipped.zipped_too.VALUE == 2
    assert library.log == ["zipped_too imported", "zipped imported"]


class Finder:
    """Somebody else's, which finds one module that is in no folder."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != "virtual":
            return None
        loader: Any = Loader()
        return importlib.util.spec_from_loader("virtual", loader)


class Loader:
    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        module.VALUE = 1  # type: ignore[attr-defined]


def test_other_finders_find_what_they_would(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [object(), *sys.meta_path, Finder()])
    library.expect("virtual")
    assert importlib.import_module("virtual").VALUE == 1
    assert library.log == ["virtual imported"]


def test_a_loader_that_cannot_be_asked_loads_its_module_unnoticed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlottedLoader:
        __slots__ = ()

        def create_module(self, spec: object) -> None:
            return None

        def exec_module(self, module: object) -> None:
            module.VALUE = 2  # type: ignore[attr-defined]

    class SlottedFinder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> object:
            loader: Any = SlottedLoader()
            if name == "slotted":
                return importlib.util.spec_from_loader(name, loader)
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, SlottedFinder()])
    library.expect("slotted")
    assert importlib.import_module("slotted").VALUE == 2


def test_threads_that_import_at_once_call_once(library: Library) -> None:
    library.add("lib.py", "import time; time.sleep(0.01)")
    library.expect("lib")
    threads = [threading.Thread(target=importlib.import_module, args=("lib",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.log == ["lib imported"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_another_thread_has_begun_to_import_is_caught_up_with(
    library: Library, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """With the next import of anything, by whom ever; never before the module is ready."""
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "events_of_this_test", (begun, go_on), raising=False)
    library.add(
        "slow.py",
        "import sys\nbegun, go_on = sys.events_of_this_test\nbegun.set()\ngo_on.wait(30)\n"
        + ("raise LookupError\n" if fails else "import after\n"),
    )
    for other in ("meanwhile", "after", "later"):
        library.add(f"{other}.py")

    def import_slow() -> None:
        with suppress(LookupError):
            importlib.import_module("slow")

    thread = threading.Thread(target=import_slow)
    thread.start()
    assert begun.wait(30)
    library.expect("slow")
    importlib.import_module("meanwhile")
    assert library.log == []
    go_on.set()
    thread.join()
    assert library.log == []
    importlib.import_module("later")
    assert library.log == ([] if fails else ["slow imported"])
    library.add("slow.py", "VALUE = 'another size altogether'")
    importlib.invalidate_caches()
    importlib.import_module("slow")
    assert library.log == ["slow imported"]


def test_the_finder_is_there_while_it_waits_and_gone_afterwards(library: Library) -> None:
    before = list(sys.meta_path)
    library.add("lib.py")
    library.expect("lib")
    library.expect("another")
    assert len(sys.meta_path) == len(before) + 1
    forget_all()
    assert sys.meta_path == before
    importlib.import_module("lib")
    assert library.log == []


def test_a_change_is_there_while_the_modules_code_runs_and_only_then(library: Library) -> None:
    library.add("lib.py", "import sys\nSEEN = list(sys.changed)")
    changed: list[str] = []

    def begin_change() -> Callable[[], None]:
        changed.append("changed")
        return changed.clear

    library.expect("lib")
    while_importing("lib", begin_change)
    sys.changed = changed  # type: ignore[attr-defined]
    try:
        module: Any = importlib.import_module("lib")
    finally:
        del sys.changed  # type: ignore[attr-defined]
    assert module.SEEN == ["changed"]
    assert changed == []
    assert library.log == ["lib imported"]


def test_a_change_ends_also_when_the_import_fails(library: Library) -> None:
    library.add("lib.py", "raise LookupError('on purpose')")
    log: list[str] = []

    def begin_change() -> Callable[[], None]:
        log.append("begun")
        return lambda: log.append("ended")

    while_importing("lib", begin_change)
    with pytest.raises(LookupError, match="on purpose"):
        importlib.import_module("lib")
    assert log == ["begun", "ended"]


def test_a_module_that_is_there_is_not_imported_with_a_change(library: Library) -> None:
    library.add("lib.py")
    importlib.import_module("lib")
    while_importing("lib", lambda: pytest.fail("nothing is being imported"))
    importlib.reload(sys.modules["lib"])


def test_changes_are_forgotten_with_the_rest(library: Library) -> None:
    library.add("lib.py")
    while_importing("lib", lambda: pytest.fail("this was forgotten"))
    forget_all()
    importlib.import_module("lib")
