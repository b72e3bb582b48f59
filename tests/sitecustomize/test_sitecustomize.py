"""Attaching by environment: by the .pth file, by the folder on PYTHONPATH, and by both."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import wrapt

from launching import Launcher
from whence.engine import twin
from whence.sitecustomize import FOLDER

BY_PTH = {"WHENCE_ATTACH": "1"}
BY_FOLDER = {"WHENCE_ATTACH": "1", "PYTHONPATH": FOLDER}

ATTACHED = "from whence.attaching import attached; print(attached())"


def modules_imported(launch: Launcher, *words: str, env: dict[str, str]) -> set[str]:
    """What a Python imported from its start to its end, by its own account."""
    ran = launch(launch.python, "-X", "importtime", *words, env=env)
    assert ran.code == 0, ran.err
    lines = (line for line in ran.err.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


class TestStartup:
    """What attaching brings into a program, and what not attaching does."""

    HEAVY = (
        "argparse",
        "asyncio",
        "concurrent",
        "dataclasses",
        "grpc",
        "importlib.metadata",
        "inspect",
        "logging",
        "opentelemetry",
        "re",
        "selectors",
        "socket",
        "ssl",
        "threading",
        "tomllib",
        "traceback",
        "wrapt",
    )

    @pytest.mark.parametrize("env", [BY_PTH, BY_FOLDER], ids=["pth", "folder"])
    def test_attaching_imports_nothing_heavy_that_the_program_did_not(
        self, env: dict[str, str], launch: Launcher
    ) -> None:
        plain = modules_imported(launch, "-c", "pass", env={})
        brought = modules_imported(launch, "-c", "pass", env=env) - plain
        assert "whence.attaching" in brought
        heavy = {name for name in brought if name.startswith(tuple(f"{it}." for it in self.HEAVY))}
        assert heavy | (brought & set(self.HEAVY)) == set()

    def test_a_program_that_has_asyncio_finds_it_as_ever(self, launch: Launcher) -> None:
        source = "import asyncio; print(asyncio.run(asyncio.sleep(0, 'done')))"
        # Whether so short a program has anything to send depends on the machine.
        ran = launch(launch.python, "-c", source, env=BY_PTH | {"WHENCE_EXPORT": "none"})
        assert (ran.code, ran.out, ran.err) == (0, "done\n", "")

    @pytest.mark.parametrize("env", [{}, {"WHENCE_ATTACH": ""}], ids=["unset", "empty"])
    def test_without_the_variable_nothing_of_ours_is_imported(
        self, env: dict[str, str], launch: Launcher
    ) -> None:
        imported = modules_imported(launch, "-c", "pass", env=env)
        assert {name for name in imported if name.partition(".")[0] == "whence"} == set()

    @pytest.mark.parametrize("word", ["0", "false", "no", "off"])
    def test_a_word_for_no_does_not_attach(self, word: str, launch: Launcher) -> None:
        ran = launch(launch.python, "-c", ATTACHED, env={"WHENCE_ATTACH": word})
        assert ran.out == "False\n"


class TestWays:
    """Which Pythons attach."""

    @pytest.mark.parametrize("flags", [[], ["-I"], ["-E"], ["-s"], ["-P"], ["-O"]])
    def test_the_pth_file_attaches(self, flags: list[str], launch: Launcher) -> None:
        assert launch(launch.python, *flags, "-c", ATTACHED, env=BY_PTH).out == "True\n"

    def test_the_folder_on_the_path_attaches_where_there_is_no_pth_file(
        self, installed: Path, launch: Launcher
    ) -> None:
        path = os.pathsep.join([str(installed / "whence" / "sitecustomize"), str(installed)])
        env = {"WHENCE_ATTACH": "1", "PYTHONPATH": path}
        ran = launch(str(foreign_python(launch)), "-c", ATTACHED, env=env)
        assert (ran.out, ran.err) == ("True\n", "")

    def test_both_ways_attach_once(self, launch: Launcher) -> None:
        ran = launch(launch.python, "-c", ATTACHED, env=BY_FOLDER | {"WHENCE_VERBOSE": "1"})
        assert ran.out == "True\n"
        assert len(ran.err.splitlines()) == 2  # a line at the start, one at the end

    @pytest.mark.parametrize("env", [BY_PTH, BY_FOLDER], ids=["pth", "folder"])
    def test_without_site_nothing_happens(self, env: dict[str, str], launch: Launcher) -> None:
        source = "import sys; print('whence' in sys.modules)"
        ran = launch(launch.python, "-S", "-c", source, env=env)
        assert (ran.code, ran.out, ran.err) == (0, "False\n", "")

    def test_the_folder_does_not_stay_on_the_path(self, launch: Launcher) -> None:
        source = "import sys; print(sys.path)"
        attached = launch(launch.python, "-c", source, env=BY_FOLDER)
        assert attached.out == launch(launch.python, "-c", source).out
        assert attached.err == ""

    def test_a_checkout_on_the_path_does_not_attach_by_its_folders(self, launch: Launcher) -> None:
        checkout = str(Path(FOLDER).parent)
        source = "import sys; print(sys.modules['sitecustomize'].FOLDER, 'whence' in sys.modules)"
        ran = launch(launch.python, "-c", source, env={"PYTHONPATH": checkout})
        assert ran.out == f"{FOLDER} False\n"

    @pytest.mark.parametrize("way", ["pth", "folder", "both"])
    def test_a_broken_agent_is_one_line_and_the_program_runs(
        self, way: str, installed: Path, launch: Launcher
    ) -> None:
        python = foreign_python(launch)
        site_packages = launch.folder / "site" if way == "folder" else site_packages_of(python)
        shutil.copytree(installed, site_packages, dirs_exist_ok=True)
        broken = site_packages / "whence" / "attaching.py"
        broken.write_text("raise RuntimeError('two\\nlines')\n")
        env = {"WHENCE_ATTACH": "1"}
        if way != "pth":
            folder = site_packages / "whence" / "sitecustomize"
            env["PYTHONPATH"] = os.pathsep.join([str(folder), str(site_packages)])
        source = """if True:
            import subprocess, sys
            subprocess.run([sys.executable, "-c", "print('child')"])
            print("parent")
        """
        ran = launch(str(python), "-c", source, env=env)
        assert (ran.code, ran.out) == (0, "child\nparent\n")
        assert ran.err == (
            "whence: RuntimeError('two\\nlines'); the program runs without the agent\n"
        )

    def test_a_wheel_attaches_by_its_pth_file(self, installed: Path, launch: Launcher) -> None:
        python = foreign_python(launch)
        shutil.copytree(installed, site_packages_of(python), dirs_exist_ok=True)
        for flags in ([], ["-I"]):
            ran = launch(str(python), *flags, "-c", ATTACHED, env=BY_PTH)
            assert (ran.out, ran.err) == ("True\n", "")


class TestHidden:
    """The sitecustomize that ours hides."""

    def both(self, launch: Launcher, hidden: str | None, source: str, *flags: str) -> str:
        """What a Python says and does with that sitecustomize, the same with ours before it."""
        if hidden is not None:
            launch.write("hidden/sitecustomize.py", hidden)
        users = str(launch.folder / "hidden")
        words = [launch.python, *flags, "-c", source]
        plain = launch(*words, env={"PYTHONPATH": users})
        ours = {"WHENCE_ATTACH": "1", "PYTHONPATH": os.pathsep.join([FOLDER, users])}
        under = launch(*words, env=ours)
        assert (under.code, under.out, under.err) == (plain.code, plain.out, plain.err)
        return plain.out + plain.err

    def test_it_runs_and_is_the_module_of_that_name(self, launch: Launcher) -> None:
        hidden = "import sys; mark = 'mine'; print('running', __name__, __spec__.origin, sys.path)"
        source = "import sitecustomize; print(sitecustomize.mark, sitecustomize.__file__)"
        said = self.both(launch, hidden, source)
        assert said.startswith("running sitecustomize ")
        assert "\nmine " in said

    def test_one_that_raises_is_reported_by_site(self, launch: Launcher) -> None:
        source = "import sys; print('sitecustomize' in sys.modules)"
        said = self.both(launch, "raise ValueError('mine')", source)
        assert said.startswith("False\n")
        assert "Error in sitecustomize; set PYTHONVERBOSE for traceback" in said
        assert "ValueError: mine" in said

    def test_one_that_lacks_a_module_is_reported_by_site(self, launch: Launcher) -> None:
        said = self.both(launch, "import no_such_module", "print('ran')")
        assert "ModuleNotFoundError: No module named 'no_such_module'" in said

    def test_one_that_exits_ends_the_program(self, launch: Launcher) -> None:
        """Our frames show in the traceback of its start, and the interpreter, which lists the
        modules in C when it dies, names the engine; all else is the same."""
        engine = ["", "\nExtension modules: whence._engine (total: 1)\n"][twin.IN_C]
        launch.write("hidden/sitecustomize.py", "raise SystemExit('enough')")
        users = str(launch.folder / "hidden")
        for path in (users, os.pathsep.join([FOLDER, users])):
            env = {"WHENCE_ATTACH": "1", "PYTHONPATH": path}
            ran = launch(launch.python, "-c", "print('ran')", env=env)
            assert (ran.code, ran.out) == (1, "")
            assert ran.err.endswith(f"SystemExit: enough\n{engine}")

    def test_without_one_there_is_no_such_module(self, launch: Launcher) -> None:
        source = "import sys; print('sitecustomize' in sys.modules); import sitecustomize"
        self.both(launch, None, source)

    def test_it_may_be_a_package(self, launch: Launcher) -> None:
        launch.write("hidden/sitecustomize/__init__.py", "print('a package')")
        assert self.both(launch, None, "print('ran')") == "a package\nran\n"

    def test_it_runs_where_the_agent_is_not_asked_for(self, launch: Launcher) -> None:
        launch.write("hidden/sitecustomize.py", "print('running')")
        path = os.pathsep.join([FOLDER, str(launch.folder / "hidden")])
        ran = launch(launch.python, "-c", "print('ran')", env={"PYTHONPATH": path})
        assert (ran.out, ran.err) == ("running\nran\n", "")

    def test_it_runs_in_a_program_under_run(self, launch: Launcher) -> None:
        launch.write("hidden/sitecustomize.py", "print('running')")
        env = {"PYTHONPATH": str(launch.folder / "hidden")}
        ran = launch.run("-q", launch.python, "-c", ATTACHED, env=env)
        assert ran.out.splitlines()[-2:] == ["running", "True"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages with whence and a compiled dependency, whose .pth file nobody reads."""
    target = tmp_path_factory.mktemp("installed") / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    shutil.copytree(Path(wrapt.__file__).parent, target / "wrapt")
    return target


def foreign_python(launch: Launcher) -> Path:
    """The Python of a new environment of this version that has nothing installed."""
    home = launch.folder / "foreign"
    venv.create(home, symlinks=os.name != "nt")
    folder = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)}))
    return folder / Path(sys.executable).name


def site_packages_of(python: Path) -> Path:
    """Where that environment's packages are."""
    home = str(python.parent.parent)
    return Path(sysconfig.get_path("purelib", "venv", {"base": home, "platbase": home}))


class TestForeignPython:
    """The Python of another environment, reached by PYTHONPATH."""

    def attach(
        self, launch: Launcher, site_packages: Path, source: str, **variables: str
    ) -> tuple[str, str]:
        env = {"WHENCE_ATTACH": "1", "PYTHONPATH": str(site_packages / "whence" / "sitecustomize")}
        ran = launch(str(foreign_python(launch)), "-c", source, env=env | variables)
        assert ran.code == 0
        return ran.out, ran.err

    def test_one_of_the_same_build_attaches_with_our_site_packages_last(
        self, installed: Path, launch: Launcher
    ) -> None:
        source = f"import sys; {ATTACHED}; print(sys.path[-1])"
        assert self.attach(launch, installed, source) == (f"True\n{installed}\n", "")

    def test_one_of_another_build_is_left_alone_silently(
        self, installed: Path, launch: Launcher
    ) -> None:
        other = launch.folder / "site-packages"
        shutil.copytree(installed, other)
        compiled = list((other / "wrapt").glob(f"*{EXTENSION_SUFFIXES[0]}"))
        assert compiled, "wrapt came without its compiled module"
        for path in compiled:
            path.rename(path.with_name("_wrappers.cpython-399-no-platform.so"))
        for path in (other / "whence").glob(f"*{EXTENSION_SUFFIXES[0]}"):
            path.unlink()
        source = "import sys; print('whence' in sys.modules, sys.path[-1])"
        out, err = self.attach(launch, other, source)
        assert out.startswith("False ")
        assert str(other) not in out
        assert err == ""
        _, err = self.attach(launch, other, source, WHENCE_VERBOSE="1")
        assert err.startswith("whence: not installed for ")
        assert err.count("\n") == 1
