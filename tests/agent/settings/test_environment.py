import os

import pytest

from whence.settings.environment import (
    add_folder,
    is_forkserver,
    is_multiprocessing_helper,
    is_run_process,
    leave_children_alone,
)

SEP = os.pathsep


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "F"),
        ("", "F"),
        ("a", f"F{SEP}a"),
        (f"F{SEP}a", f"F{SEP}a"),
        (f"a{SEP}F", f"F{SEP}a"),
        (f"{SEP}a", f"F{SEP}{SEP}a"),
    ],
)
def test_the_folder_comes_first_and_once_and_no_empty_entry_is_added(
    before: str | None, after: str
) -> None:
    environ = {} if before is None else {"PYTHONPATH": before}
    add_folder(environ, "F")
    assert environ["PYTHONPATH"] == after


@pytest.mark.parametrize("path", [None, "a", f"a{SEP}b", f"{SEP}a"])
def test_children_left_alone_find_the_environment_of_the_user(path: str | None) -> None:
    users = {"HOME": "/h"} if path is None else {"HOME": "/h", "PYTHONPATH": path}
    environ = users | {"WHENCE_ATTACH": "1", "WHENCE_SLOW": "5", "WHENCE_RUN_PID": "7"}
    add_folder(environ, "F")
    leave_children_alone(environ, "F")
    assert environ == users


def test_an_empty_pythonpath_without_our_folder_is_left_as_it_is() -> None:
    environ = {"PYTHONPATH": ""}
    leave_children_alone(environ, "F")
    assert environ == {"PYTHONPATH": ""}


@pytest.mark.skipif(os.name == "nt", reason="there the program is a child of whence run")
def test_only_the_process_that_run_became_is_the_run_process() -> None:
    assert is_run_process({"WHENCE_RUN_PID": str(os.getpid())})
    assert not is_run_process({"WHENCE_RUN_PID": str(os.getppid())})
    assert not is_run_process({})


@pytest.mark.parametrize(
    ("argv", "helper", "forkserver"),
    [
        (["py", "-c", "from multiprocessing.resource_tracker import main;main(5)"], True, False),
        (["py", "-I", "-c", "from multiprocessing.forkserver import main; main()"], False, True),
        (["py", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], False, False),
        (["py", "-c", "print('from multiprocessing.forkserver import main')"], False, False),
        (["py", "app.py", "-c"], False, False),
        (["py"], False, False),
    ],
)
def test_multiprocessing_helpers_are_known_by_their_command_line(
    argv: list[str], helper: bool, forkserver: bool
) -> None:
    assert (is_multiprocessing_helper(argv), is_forkserver(argv)) == (helper, forkserver)
