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
from typing import Any

VERSION = 1
"""Of the protocol, of dumps: higher once what was there goes or means something else."""

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


def encode_answer(fields: dict[str, str]) -> bytes:
    """The line of an answer whose fields are JSON already."""
    answer = ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items())
    return f'{{"whence":{VERSION},"answer":{{{answer}}}}}\n'.encode("ascii")


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
