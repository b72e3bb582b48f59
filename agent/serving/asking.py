"""Asking a process over its socket."""

import os
import socket
from time import monotonic
from typing import Any

from .folders import NotPrivate, check_private, check_socket
from .protocol import MAX_ANSWER, decode, encode, peer_of

PATIENCE = 30.0
"""Seconds for an answer: the program goes first, and others may be asking too."""
_GLANCE = 1.0
"""Seconds after which it is looked whether the process can answer at all."""
_PART = 1 << 20


class NoAnswer(Exception):
    """Why a process cannot be asked, or did not answer: a line for people."""


class NobodyListens(NoAnswer):
    """There is a socket, and its process is gone."""


def ask(
    path: str, pid: int, owner: int, question: str, *, patience: float = PATIENCE, **details: Any
) -> dict[str, Any]:
    """The answer of the process with this pid, a user's own, at this path.  Raises NoAnswer."""
    by = monotonic() + patience
    try:
        check_private(os.path.dirname(path), owner)
        check_socket(path, owner)
    except NotPrivate as error:
        raise NoAnswer(f"pid {pid} is not asked: {error}") from None
    except FileNotFoundError:
        raise NobodyListens(f"pid {pid} has ended") from None
    except OSError as error:
        raise NoAnswer(f"pid {pid} cannot be asked ({error.strerror})") from None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(patience)
            connection.connect(path)
            _check_peer(connection, pid, owner)
            connection.sendall(encode({"ask": question, **details}))
            line = _line(connection, pid, by)
        except TimeoutError:
            raise NoAnswer(f"pid {pid} {_silence(pid, patience)}") from None
        except (ConnectionRefusedError, FileNotFoundError):
            raise NobodyListens(f"pid {pid} has ended") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise NoAnswer(f"pid {pid} gave no answer ({reason}): it may have ended") from None
    return _answer(line, pid)


def _check_peer(connection: socket.socket, pid: int, owner: int) -> None:
    peer = peer_of(connection)
    if peer.uid is not None and peer.uid != owner:
        raise NoAnswer(f"pid {pid} is not asked: at its socket uid {peer.uid} answers, not {owner}")
    if peer.pid and peer.pid != pid:
        raise NoAnswer(f"pid {pid} is not asked: at its socket pid {peer.pid} answers")


def _line(connection: socket.socket, pid: int, by: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while not parts or not parts[-1].endswith(b"\n"):
        left = max(0.01, by - monotonic())
        connection.settimeout(min(left, _GLANCE))
        try:
            part = connection.recv(_PART)
        except TimeoutError:
            if left <= _GLANCE or _is_stopped(pid):
                raise
            continue
        if not part:
            raise NoAnswer(f"pid {pid} gave no answer: it ended, or forked, meanwhile")
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise NoAnswer(f"pid {pid} answered more than {MAX_ANSWER} bytes")
    return b"".join(parts)


def _answer(line: bytes, pid: int) -> dict[str, Any]:
    try:
        message = decode(line)
    except ValueError as error:
        raise NoAnswer(
            f"pid {pid} does not speak as this whence does: {error}; "
            "ask with the whence of its own environment"
        ) from None
    answer = message.get("answer")
    if not isinstance(answer, dict):
        raise NoAnswer(f"pid {pid} refused: {message.get('error', 'it did not say why')}")
    return answer


def _silence(pid: int, patience: float) -> str:
    """What it does instead of answering."""
    if _is_stopped(pid):
        return "is stopped and cannot answer (kill -CONT lets it go on)"
    return f"does not answer within {patience:g} s"


def _is_stopped(pid: int) -> bool:
    """By a signal or a debugger.  Where the system does not say so, it is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")
