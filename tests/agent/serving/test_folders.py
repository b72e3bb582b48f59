"""Where sockets are: this user's alone, whatever others have left in places that all share."""

import os
import socket
from pathlib import Path

import pytest

from whence.serving import folders
from whence.serving.folders import NotPrivate, check_private, check_socket, make_private

ME = os.getuid()

as_root = pytest.mark.skipif(ME != 0, reason="gives files to another user")


def test_a_folder_that_is_made_is_this_users_alone(tmp_path: Path) -> None:
    folder = str(tmp_path / "whence")
    make_private(folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    make_private(folder)


def test_a_folder_that_others_may_enter_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "whence"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(NotPrivate, match=r"nobody else may enter \(chmod 700\), its mode is 750"):
        make_private(str(folder))


def test_a_link_to_somewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "whence").symlink_to(tmp_path / "real")
    with pytest.raises(NotPrivate, match="expected a folder, not a link"):
        make_private(str(tmp_path / "whence"))


@as_root
def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "whence"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4321, -1)
    with pytest.raises(NotPrivate, match="expected a folder of uid 0, it is of uid 4321"):
        make_private(str(folder))
    check_private(str(folder), 4321)


def test_what_is_no_socket_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "1.sock").write_text("")
    with pytest.raises(NotPrivate, match="expected a socket"):
        check_socket(str(tmp_path / "1.sock"), ME)


@as_root
def test_a_socket_of_another_user_is_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "1.sock"
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind(os.path.relpath(path))
    os.chown(path, 4321, -1)
    with pytest.raises(NotPrivate, match="expected a socket of uid 0, it is of uid 4321"):
        check_socket(str(path), ME)


def test_the_runtime_folder_is_the_first_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("TMPDIR", "/scratch")
    assert folders.places() == [
        "/run/user/7/whence",
        f"/tmp/whence-{ME}",
        f"/scratch/whence-{ME}",
    ]


@pytest.mark.parametrize("runtime", ["", "relative/folder"])
def test_without_a_runtime_folder_it_is_the_temporary_one(
    runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folders.places() == [f"/tmp/whence-{ME}"]


def test_a_name_that_the_system_does_not_take_is_known() -> None:
    assert folders.is_short_enough("/tmp/whence-1000")
    assert not folders.is_short_enough("/tmp/" + "x" * 90)


def test_only_names_of_sockets_are_sockets(tmp_path: Path) -> None:
    for name in ("12.sock", "x.sock", "12.sock.new", "12", ".sock", "-1.sock", "١٢.sock"):
        (tmp_path / name).write_text("")
    assert list(folders.sockets(str(tmp_path))) == [(12, str(tmp_path / "12.sock"))]
    assert list(folders.sockets(str(tmp_path / "none"))) == []
