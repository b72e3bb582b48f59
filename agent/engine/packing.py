"""The engine's encoder of spans, for an exporter that sends them in OTLP's protobuf.

Only the engine in C has one: what it does for an exporter, `whence.exporters.otlp.templates` does
for itself where there is none.
"""

from typing import Any

from . import twin

Packer: Any = None
"""Packs batches; None if the engine is in Python."""

ROOMS: tuple[str, ...] = ()
"""What differs among spans that have a template in common: fields of a lifetime.  A template refers
to them by their index; the last one is nothing."""

if twin.IN_C:
    from .._engine import ROOMS, Packer  # type: ignore[attr-defined,no-redef]
