"""Which engine a process gets: the one that is asked for, and Python wherever that is not whole."""

import json
import sys
import textwrap

import pytest

from engine_package import ASK, SUFFIX, Package, build
from whence.engine import twin

# What is asked for.


@pytest.mark.parametrize("asked_for", ["python", "c"])
def test_the_variable_says_which_engine_runs(asked_for: str, whole: Package) -> None:
    answer = whole.ask(WHENCE_ENGINE=asked_for)
    assert (answer["engine"], answer["loaded"]) == (asked_for, asked_for == "c")
    assert answer["why_not"] == ""


def test_nobody_asking_gets_the_default(whole: Package) -> None:
    assert whole.ask(WHENCE_ENGINE="")["engine"] == twin.DEFAULT


def test_another_value_is_one_line_and_the_default_runs(whole: Package) -> None:
    words = ["-m", "whence", "run", "-q", "--export", "none", whole.interpreter, "-c", ASK]
    ran = whole.python(*words, WHENCE_ENGINE="rust")
    assert ran.json["engine"] == twin.DEFAULT
    assert ran.err == (
        "whence: WHENCE_ENGINE: expected python or c, not 'rust'; the default is used\n"
    )


def test_children_run_the_same_engine(whole: Package) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    ran = whole.python("-c", child, ASK, WHENCE_ENGINE="c")
    assert ran.json["engine"] == "c"


@pytest.mark.parametrize("asked_for", ["python", "c"])
def test_the_start_line_names_it(asked_for: str, whole: Package) -> None:
    words = ["-m", "whence", "run", "--export", "none", "--on-exit", "none"]
    ran = whole.python(*words, whole.interpreter, "-c", "0", WHENCE_ENGINE=asked_for)
    (line,) = ran.err.splitlines()
    assert f"  engine={asked_for}  " in line


def test_what_a_process_asks_for_later_changes_nothing(whole: Package) -> None:
    late = f"import os, whence; os.environ['WHENCE_ENGINE'] = 'python'\n{ASK}"
    assert whole.python("-c", late, WHENCE_ENGINE="c").json["engine"] == "c"


# What is not whole.


def test_the_doctor_says_why_the_one_in_c_does_not_run(package: Package) -> None:
    why_not = package.why_not()
    report = json.loads(package.python("-m", "whence", "doctor", "--json", "--export", "none").out)
    assert report["engine"]["name"] == "python"
    assert report["engine"]["why_not_c"] == why_not
    (finding,) = [finding for finding in report["findings"] if "engine" in finding["what"]]
    assert (finding["level"], finding["follows"]) == ("warning", why_not)


def test_not_built_it_is_the_one_in_python(package: Package) -> None:
    assert package.why_not() == (
        "it was not built when whence was installed: that takes a C compiler"
    )


def test_built_for_another_python_it_is_the_one_in_python(package: Package) -> None:
    package.put("_engine.cpython-39-x86_64-linux-gnu.so", b"\x7fELF")
    package.put("_engine_of_another.so", b"")
    assert package.why_not() == (
        "it is built for other Pythons: _engine.cpython-39-x86_64-linux-gnu.so"
    )


def test_the_file_of_another_python_under_this_ones_name_is_refused(package: Package) -> None:
    others = [path for path in build().parent.glob("_engine.*.so") if path != build()]
    if not others:
        pytest.skip("it is built for no other Python here")
    package.put(f"_engine{SUFFIX}", others[0].read_bytes())
    assert package.why_not().startswith("ImportError: ")


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.3, 0.9, 0.999])
def test_cut_off_it_is_the_one_in_python(part: float, package: Package) -> None:
    content = build().read_bytes()
    package.put(f"_engine{SUFFIX}", content[: int(len(content) * part)])
    answer = package.ask()
    assert answer["engine"] == "python"
    assert answer["why_not"]


def test_no_extension_at_all_it_is_the_one_in_python(package: Package) -> None:
    package.put(f"_engine{SUFFIX}", b"<html>404 not found</html>" * 1000)
    assert package.why_not().startswith("ImportError: ")


def test_of_another_version_of_whence_it_is_the_one_in_python(package: Package) -> None:
    """Its names are not those that the modules in Python take."""
    package.put("_engine.py", b"def tell(**functions): pass\ndef use(**objects): pass\n")
    assert package.why_not().startswith("ImportError: cannot import name ")


FAILURES = {
    "clock = lambda: 7": "its times are in no order",
    "execution_async_id = lambda: 7": "another resource executes",
    "resolve = lambda state, lifetime: None": "hooks hear other events",
    "enter = lambda state, lifetime, resource: None": "its steps are other ones",
    "def create(*what): 1 // 0": "ZeroDivisionError",
}
"""What is wrong in the engine -> what its self-test says."""


@pytest.mark.parametrize("wrong", FAILURES)
def test_failing_its_self_test_it_is_the_one_in_python(wrong: str, package: Package) -> None:
    package.put_changed(wrong)
    why_not = package.why_not()
    assert why_not.startswith("its self-test fails (")
    assert FAILURES[wrong] in why_not


def test_asked_for_and_not_to_be_had_it_is_one_line(package: Package) -> None:
    words = ["-m", "whence", "run", "-q", "--export", "none", package.interpreter, "-c", ASK]
    ran = package.python(*words, WHENCE_ENGINE="c")
    assert ran.json["engine"] == "python"
    assert ran.err == (
        "whence: WHENCE_ENGINE: the engine in C does not run (it was not built when whence was "
        "installed: that takes a C compiler); the one in Python does\n"
    )


def test_a_free_threaded_python_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "abiflags", "t")
    assert twin._not_built() == "it is written for the GIL, and this Python is free-threaded"


SUBINTERPRETER = """
import json, os, sys
try:
    import _interpreters
    made = _interpreters.create(sys.argv[1])
    run = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated=sys.argv[1] == "isolated")
    run = interpreters.run_string
import whence
from whence import engine
inside = '''
from whence import engine
from whence.engine import twin
print(engine.NAME, bool(twin.why_not))
'''
print(engine.NAME, flush=True)
failed = run(made, inside)
assert not failed, failed
"""


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_a_subinterpreter_has_the_one_in_python(
    kind: str, whole: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = whole.python("-c", SUBINTERPRETER, kind)
    assert (ran.code, ran.out) == (0, "c\npython True\n"), ran.err


# The self-test itself.


def test_the_first_ids_are_those_of_the_engine_in_python(whole: Package) -> None:
    python, in_c = whole.ask(WHENCE_ENGINE="python"), whole.ask(WHENCE_ENGINE="c")
    assert (python["engine"], in_c["engine"]) == ("python", "c")
    assert python["first"] == in_c["first"]


def test_it_leaves_nothing_behind(whole: Package) -> None:
    source = """
        from whence import engine
        from whence.engine.dispatch import listeners
        from whence.engine.resource_types import known_types

        assert engine.NAME == "c"
        assert not len(engine.ring) and not len(engine.open_lifetimes)
        assert not engine.recorder.on and engine.recorder.sends
        assert listeners.init is listeners.destroy is None
        assert {row.created for row in known_types()} == {0}
        assert engine.execution_async_id() == 1
        print("clean")
    """
    ran = whole.python("-c", textwrap.dedent(source), WHENCE_ENGINE="c")
    assert ran.out == "clean\n", ran.err
