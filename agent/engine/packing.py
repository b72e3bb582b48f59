"""What the engine in C does for exporters: it encodes spans in OTLP's protobuf, and sends them.

The engine in Python does neither.  There `whence.exporters.otlp.templates` encodes them, and
`whence.exporters.http_connection` sends them.
"""

from typing import TYPE_CHECKING, Any

from . import twin

Packer: Any = None
"""Packs batches; None if the engine is in Python."""

ROOMS: tuple[str, ...] = ()
"""What differs among spans that have a template in common: fields of a lifetime.  A template refers
to them by their index; the last one is nothing."""

post: Any = None
"""Sends a request of HTTP on a socket, and gives what has come of the answer once its head is
there, without giving up the GIL but once.  None if the engine is in Python, or on Windows."""

if twin.IN_C and not TYPE_CHECKING:
    from .._engine import ROOMS, Packer, post
