"""What goes over a process's socket: one line of JSON each way, and then it is closed.

    -> {"whence": 1, "ask": "resources", "limit": 100}
    <- {"whence": 1, "answer": {...}}  or  {"whence": 1, "error": "what was wrong"}

The rules:

- Nothing that can be asked changes anything in the program.
- Both sides read no more than they expect, and wait for no longer.
- Who is at the other end is known from the system, not from what it says.
"""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

VERSION = 1
"""Of the protocol, of dumps: higher once what was there goes or means something else."""

_TEXTS_OF_PART = 100

MAX_QUESTION = 4096
MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of a line."""

_SOL_LOCAL = getattr(socket, "SOL_LOCAL", 0)
_UCRED = struct.Struct("3i")
_XUCRED = struct.Struct("II")
"""The version and uid at the beginning of macOS's `struct xucred`."""


class Peer:
    """Who is at the other end, as the system says."""

    __slots__ = ("pid", "uid")

    def __init__(self, uid: int | None, pid: int | None) -> None:
        self.uid = uid
        """None where the system does not say."""
        self.pid = pid
        """Of a server the process that began to listen.  None where the system does not say, 0 if
        it is in a container from which this one cannot be seen."""


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end.  Raises OSError if it has gone."""
    if hasattr(socket, "SO_PEERCRED"):
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(found)
        return Peer(uid, pid)
    if hasattr(socket, "LOCAL_PEERCRED"):
        found = connection.getsockopt(_SOL_LOCAL, socket.LOCAL_PEERCRED, 128)
        return Peer(_XUCRED.unpack_from(found)[1], None)
    return Peer(None, None)


def encode(message: dict[str, Any]) -> bytes:
    """A line."""
    text = json.dumps({"whence": VERSION, **message}, separators=(",", ":"), default=str)
    return text.encode("ascii") + b"\n"


def encode_answer(fields: "dict[str, Texts]") -> Iterator[bytes]:
    """The line of an answer, in parts: in one piece it would be copied with the program waiting."""
    yield f'{{"whence":{VERSION},"answer":{{'.encode("ascii")
    for at, (name, texts) in enumerate(fields.items()):
        yield f"{',' if at else ''}{json.dumps(name)}:".encode("ascii")
        yield from texts.parts()
    yield b"}}\n"


class Texts:
    """A value of an answer, as JSON: one text, or the texts of a list's elements."""

    def __init__(self, texts: list[str], *, is_list: bool) -> None:
        self._texts = texts
        self._is_list = is_list
        self.size = sum(map(len, texts))
        """Bytes."""

    def add(self, text: str) -> None:
        """One more element."""
        self._texts.append(text)
        self.size += len(text)

    def parts(self) -> Iterator[bytes]:
        """As bytes, many texts at a time."""
        if self._is_list:
            yield b"["
        for at in range(0, len(self._texts), _TEXTS_OF_PART):
            comma = "," if at else ""
            yield f"{comma}{','.join(self._texts[at : at + _TEXTS_OF_PART])}".encode("ascii")
        if self._is_list:
            yield b"]"


def decode(line: bytes) -> dict[str, Any]:
    """What is in a line.  Raises ValueError, in words for people, for what is not of ours."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("expected a line of JSON") from None
    if not isinstance(message, dict) or "whence" not in message:
        raise ValueError('expected an object with "whence", the version of the protocol')
    if message["whence"] != VERSION:
        raise ValueError(f"expected version {VERSION} of the protocol, not {message['whence']!r}")
    return message
