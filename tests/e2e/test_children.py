"""Every process attaches for itself, however it was started; with --no-child none does."""

import json
import os
import sys
from typing import Any

import pytest

from launching import Launcher

REPORT = """
import json, os, sys

def report(name):
    from whence.attaching import attached, settings
    line = {
        "name": name,
        "pid": os.getpid(),
        "attached": attached(),
        "service": attached() and settings().service,
        "variables": sorted(name for name in os.environ if name.startswith("WHENCE_")),
        "path": os.environ.get("PYTHONPATH"),
    }
    os.write(1, (json.dumps(line) + "\\n").encode())
"""

BY_SUBPROCESS = """
import subprocess, sys
from report import report

report("parent")
subprocess.run([sys.executable, "-c", "from report import report; report('child')"], check=True)
"""

BY_MULTIPROCESSING = """
import multiprocessing, sys
from report import report

if __name__ == "__main__":
    report("parent")
    child = multiprocessing.get_context(sys.argv[1]).Process(target=report, args=("child",))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""

BY_POOL = """
import concurrent.futures, multiprocessing, sys
from report import report

if __name__ == "__main__":
    report("parent")
    context = multiprocessing.get_context(sys.argv[1])
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(report, "child").result()
"""

METHODS = ["spawn"] if os.name == "nt" else ["spawn", "forkserver", "fork"]


def lines(launch: Launcher, *words: str, **env: str) -> dict[str, Any]:
    launch.write("report.py", REPORT)
    path = os.pathsep.join([str(launch.folder), env.pop("PYTHONPATH", "/users/own")])
    ran = launch(*words, env={"WHENCE_EXPORT": "none"} | env | {"PYTHONPATH": path})
    assert (ran.code, ran.err) == (0, "")
    found = [json.loads(line) for line in ran.out.splitlines()]
    return {line["name"]: line for line in found}


def run(launch: Launcher, *words: str, **env: str) -> dict[str, Any]:
    return lines(launch, *launch.whence, "run", "-q", *words, **env)


def test_a_python_started_by_subprocess_attaches(launch: Launcher) -> None:
    reports = run(launch, launch.write("app.py", BY_SUBPROCESS))
    assert [reports[name]["attached"] for name in ("parent", "child")] == [True, True]
    assert {report["service"] for report in reports.values()} == {"app"}


def test_a_python_with_its_own_flags_attaches(launch: Launcher) -> None:
    isolated = BY_SUBPROCESS.replace(
        """[sys.executable, "-c", \"""",
        """[sys.executable, "-I", "-c", "import sys; sys.path.append('.'); """,
    )
    assert isolated != BY_SUBPROCESS
    reports = run(launch, launch.write("app.py", isolated))
    assert reports["child"]["attached"] is True


@pytest.mark.parametrize("way", ["process", "pool"])
@pytest.mark.parametrize("method", METHODS)
def test_the_processes_of_multiprocessing_attach(method: str, way: str, launch: Launcher) -> None:
    source = {"process": BY_MULTIPROCESSING, "pool": BY_POOL}[way]
    reports = run(launch, launch.write("app.py", source), method)
    assert reports["child"]["pid"] != reports["parent"]["pid"]
    assert reports["child"]["attached"] is True
    assert reports["child"]["service"] == "app"


@pytest.mark.parametrize("method", METHODS)
def test_without_run_the_children_are_named_after_the_command_too(
    method: str, launch: Launcher
) -> None:
    script = launch.write("app.py", BY_MULTIPROCESSING)
    reports = lines(launch, launch.python, script, method, WHENCE_ATTACH="1")
    assert (reports["child"]["attached"], reports["child"]["service"]) == (True, "app")


def test_the_helpers_of_multiprocessing_are_left_alone(launch: Launcher) -> None:
    """The resource tracker and the fork server itself: each says what it imported, at its end."""
    source = """
        import multiprocessing, multiprocessing.resource_tracker, os, sys

        def nothing():
            pass

        if __name__ == "__main__":
            child = multiprocessing.get_context("forkserver").Process(target=nothing)
            child.start()
            child.join()
    """
    # The hidden sitecustomize runs in the helpers as well, after the agent had its turn.
    launch.write(
        "hidden/sitecustomize.py",
        """
        import os, sys
        code = " ".join(sys.orig_argv)
        for helper in ("resource_tracker", "forkserver"):
            if f"multiprocessing.{helper} import main" in code:
                attaching = sys.modules.get("whence.attaching")
                there = attaching is not None and attaching.attached()
                os.write(2, f"{helper} attached: {there}\\n".encode())
        """,
    )
    script = launch.write("app.py", source)
    ran = launch.run("-q", script, env={"PYTHONPATH": str(launch.folder / "hidden")})
    assert ran.code == 0
    assert sorted(ran.err.splitlines()) == [
        "forkserver attached: False",
        "resource_tracker attached: False",
    ]


def test_only_the_process_that_run_became_speaks(launch: Launcher) -> None:
    launch.write("report.py", REPORT)
    script = launch.write("app.py", BY_SUBPROCESS)
    said = launch.run(script, env={"PYTHONPATH": str(launch.folder)})
    assert said.err.count("whence ") == 1
    verbose = launch.run("-v", script, env={"PYTHONPATH": str(launch.folder)})
    pids = {line.split()[3] for line in verbose.err.splitlines() if line.startswith("whence 0")}
    assert len(pids) == 2


class TestNoChild:
    """--no-child."""

    @pytest.mark.parametrize("by", ["option", "variable"])
    def test_children_find_the_environment_of_the_user_and_do_not_attach(
        self, by: str, launch: Launcher
    ) -> None:
        script = launch.write("app.py", BY_SUBPROCESS)
        if by == "option":
            reports = run(launch, "--no-child", "--segment", "5", script)
        else:
            reports = run(launch, script, WHENCE_NO_CHILD="1")
        assert (reports["parent"]["attached"], reports["child"]["attached"]) == (True, False)
        for report in reports.values():
            assert report["variables"] == []
            assert report["path"] == os.pathsep.join([str(launch.folder), "/users/own"])

    def test_attached_by_environment_alone_children_do_not_attach_either(
        self, launch: Launcher
    ) -> None:
        script = launch.write("app.py", BY_SUBPROCESS)
        reports = lines(launch, launch.python, script, WHENCE_ATTACH="1", WHENCE_NO_CHILD="1")
        assert (reports["parent"]["attached"], reports["child"]["attached"]) == (True, False)

    @pytest.mark.parametrize("method", [it for it in METHODS if it != "fork"])
    def test_the_processes_of_multiprocessing_do_not_attach(
        self, method: str, launch: Launcher
    ) -> None:
        script = launch.write("app.py", BY_MULTIPROCESSING)
        reports = run(launch, "--no-child", script, method)
        assert (reports["parent"]["attached"], reports["child"]["attached"]) == (True, False)

    def test_a_path_that_was_not_set_is_not_set(self, launch: Launcher) -> None:
        source = "import os; print(os.environ.get('PYTHONPATH'))"
        ran = launch.run("-q", "--no-child", launch.python, "-c", source)
        assert ran.out == "None\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there a shebang means nothing")
def test_a_program_that_becomes_another_stays_attached(launch: Launcher) -> None:
    source = """
        import os, sys
        from report import report

        report("before")
        after = "from report import report; report('after')"
        os.execv(sys.executable, [sys.executable, "-c", after])
    """
    reports = run(launch, launch.write("app.py", source))
    assert reports["before"]["pid"] == reports["after"]["pid"]
    assert reports["after"]["attached"] is True
