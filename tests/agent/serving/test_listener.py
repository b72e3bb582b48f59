"""The socket itself: who is answered, what is not, and whom nobody waits for."""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import until
from whence.serving import listener as listener_module
from whence.serving.asking import NoAnswer, NobodyListens, ask
from whence.serving.listener import Listener, sweep
from whence.serving.protocol import MAX_QUESTION, encode
from whence.settings.config import resolve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


class Served:
    """A listener, served by a thread."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / f"{os.getpid()}.sock")
        self.listener = Listener(self.path, resolve(environ={}))
        self.stopped = False
        self.thread = threading.Thread(target=self.listener.serve, args=(lambda: self.stopped,))
        self.thread.start()

    def stop(self) -> None:
        self.stopped = True
        self.listener.wake()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(20)
        made.connect(self.path)
        return made

    def say(self, line: bytes) -> Any:
        """What it answers to a line; None if it hangs up."""
        with self.connect() as connection:
            connection.sendall(line)
            with connection.makefile("rb") as answer:
                text = answer.readline()
        return json.loads(text) if text else None

    def ask(self, question: str, **details: Any) -> dict[str, Any]:
        return ask(self.path, os.getpid(), os.getuid(), question, **details)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, and private."""
    made = Path(tempfile.mkdtemp(prefix="w"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    made = Served(folder)
    yield made
    made.stop()
    made.listener.close()


def test_who_asks_is_answered(served: Served) -> None:
    assert served.ask("about")["pid"] == os.getpid()
    assert served.ask("resources")["left_out"] == 0


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\n", "expected a line of JSON"),
        (b"GET / HTTP/1.1\r\n", "expected a line of JSON"),
        (b"\xff\xfe\n", "expected a line of JSON"),
        (b"[" * 4000 + b"\n", "expected a line of JSON"),
        (b"[]\n", 'expected an object with "whence"'),
        (b'{"ask": "about"}\n', 'expected an object with "whence"'),
        (b'{"whence": 99, "ask": "about"}\n', "expected version 1 of the protocol, not 99"),
        (b'{"whence": 1}\n', "expected a question out of about, resources"),
        (b'{"whence": 1, "ask": "__class__"}\n', "expected a question out of about, resources"),
        (b'{"whence": 1, "ask": "resources", "limit": -1}\n', 'expected a "limit" of 0 or more'),
        (b'{"whence": 1, "ask": "resources", "limit": "x"}\n', 'expected a "limit" of 0 or more'),
        (b'{"whence": 1, "ask": "why", "async_id": "x"}\n', "expected an \"async_id\", not 'x'"),
        (b'{"whence": 1, "ask": "why", "async_id": 10000000}\n', "expected the id of an open"),
        (b"x" * (MAX_QUESTION + 1), f"expected a question of at most {MAX_QUESTION} bytes"),
    ],
)
def test_what_makes_no_sense_is_answered_with_what_was_expected(
    line: bytes, error: str, served: Served
) -> None:
    assert served.say(line)["error"].startswith(error)
    assert served.ask("about")


def test_a_question_that_cannot_be_a_key_is_refused(served: Served) -> None:
    assert "error" in served.say(b'{"whence": 1, "ask": []}\n')


def test_who_asks_nothing_is_left_for_the_next_one(served: Served) -> None:
    with served.connect(), served.connect() as half:
        half.sendall(b'{"whence"')
        assert served.ask("about")


def test_who_hangs_up_does_no_harm(served: Served) -> None:
    for line in (b"", b'{"whence": 1', encode({"ask": "resources"})):
        with served.connect() as connection:
            connection.sendall(line)
    assert served.ask("about")


def test_who_does_not_take_the_answer_keeps_nobody_from_stopping_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whence.serving import answers

    monkeypatch.setitem(answers.QUESTIONS, "about", lambda *_: {"much": "x" * 50_000_000})
    with served.connect() as connection:
        connection.sendall(encode({"ask": "about"}))
        assert connection.recv(1)
        served.stop()


def test_an_answer_that_fails_is_said_and_the_next_one_is_given(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whence.serving import answers

    monkeypatch.setitem(answers.QUESTIONS, "about", lambda *_: {"x": 1 // 0})
    with pytest.raises(NoAnswer, match=r"refused: whence failed to answer .ZeroDivisionError"):
        served.ask("about")
    assert served.ask("resources")


def test_an_answer_that_is_too_large_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whence.serving import answers

    monkeypatch.setattr(answers, "MAX_ANSWER", 10)
    with pytest.raises(NoAnswer, match="the answer has more than 10 bytes: ask for fewer"):
        served.ask("about")


def test_answering_takes_a_fifth_of_the_time_at_the_most(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = iter(n * 0.1 for n in range(1000))
    monkeypatch.setattr(listener_module, "thread_time", lambda: next(spent))
    began = time.monotonic()
    for _ in range(3):
        # Each takes 0.1 s, by that clock.
        served.ask("about")
    assert time.monotonic() - began >= 2 * 0.4


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_another_user_is_not_answered_even_if_the_folder_lets_him_in(
    served: Served, folder: Path
) -> None:
    folder.chmod(0o777)
    os.chmod(served.path, 0o777)
    pid = os.fork()
    if pid == 0:
        # No test goes on here, whatever happens.
        code = 1
        try:
            os.setuid(4321)
            code = 0 if served.say(encode({"ask": "about"})) is None else 2
        except (BrokenPipeError, ConnectionResetError):
            # It hung up before it had read the question.
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_what_a_killed_process_leaves_behind_is_swept(folder: Path) -> None:
    left = folder / "77.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(left))
        killed.listen()
    (folder / "notes.txt").write_text("of the user")
    assert left.exists()
    sweep(str(folder))
    assert not left.exists()
    assert (folder / "notes.txt").exists()


def test_who_is_busy_is_not_swept(folder: Path) -> None:
    """Nobody accepts, and the queue is full."""
    path = folder / "77.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(str(path))
        sweep(str(folder))
        for one in waiting:
            one.close()
    assert path.exists()


def test_a_socket_of_the_same_pid_that_was_left_behind_is_replaced(folder: Path) -> None:
    path = folder / f"{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    Path(f"{path}.new").write_text("half made")
    served = Served(folder)
    try:
        assert served.ask("about")
    finally:
        served.stop()
        served.listener.close()
    assert os.listdir(folder) == []


class TestTheClient:
    """Who asks, and whom it does not trust."""

    def test_it_says_when_a_process_has_ended(self, folder: Path) -> None:
        path = folder / "77.sock"
        with pytest.raises(NobodyListens, match="pid 77 has ended"):
            ask(str(path), 77, os.getuid(), "about")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        with pytest.raises(NobodyListens, match="pid 77 has ended"):
            ask(str(path), 77, os.getuid(), "about")

    def test_it_asks_nobody_who_listens_in_place_of_another(self, served: Served) -> None:
        planted = served.path.replace(f"{os.getpid()}", "77")
        os.rename(served.path, planted)
        with pytest.raises(NoAnswer, match=f"at its socket pid {os.getpid()} answers"):
            ask(planted, 77, os.getuid(), "about")

    def test_it_asks_nobody_in_a_folder_that_others_may_enter(
        self, served: Served, folder: Path
    ) -> None:
        folder.chmod(0o755)
        with pytest.raises(NoAnswer, match=r"not asked: .* nobody else may enter"):
            served.ask("about")

    def test_it_does_not_wait_for_ever(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}.sock"
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(path))
            silent.listen()
            with pytest.raises(NoAnswer, match=r"does not answer within 0\.2 s"):
                ask(str(path), os.getpid(), os.getuid(), "about", patience=0.2)

    def test_it_says_that_a_process_is_stopped(self, folder: Path) -> None:
        pid = os.fork()
        if pid == 0:
            with socket.socket(socket.AF_UNIX) as stopped:
                stopped.bind(str(folder / f"{os.getpid()}.sock"))
                stopped.listen()
                os.kill(os.getpid(), signal.SIGSTOP)
                os._exit(0)
        os.waitpid(pid, os.WUNTRACED)
        try:
            began = time.monotonic()
            with pytest.raises(NoAnswer, match=r"is stopped and cannot answer \(kill -CONT"):
                ask(str(folder / f"{pid}.sock"), pid, os.getuid(), "about", patience=600)
            assert time.monotonic() - began < 60
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    @pytest.mark.parametrize(
        ("line", "text"),
        [
            (b"nonsense\n", "does not speak as this whence does: expected a line of JSON; ask"),
            (b'{"whence": 2, "answer": {}}\n', "expected version 1 of the protocol, not 2; ask"),
            (b'{"whence": 1, "error": "no"}\n', "refused: no"),
            (b'{"whence": 1, "answer": []}\n', "refused: it did not say why"),
            (b"", "gave no answer: it ended, or forked, meanwhile"),
        ],
    )
    def test_it_says_what_is_wrong_with_an_answer(
        self, line: bytes, text: str, folder: Path
    ) -> None:
        path = folder / f"{os.getpid()}.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()

            def answer() -> None:
                connection, _ = other.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(line)

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(NoAnswer) as refused:
                ask(str(path), os.getpid(), os.getuid(), "about")
            thread.join()
        assert text in str(refused.value)


def test_it_serves_again_after_it_was_told_to_pause(served: Served) -> None:
    served.stop()
    served.stopped = False
    served.thread = threading.Thread(target=served.listener.serve, args=(lambda: served.stopped,))
    served.thread.start()
    assert until(lambda: served.ask("about"))
