"""What both encodings of OTLP say in the same way."""

from typing import Any

from opentelemetry.trace import SpanContext

STATUS_ERROR = 2
_LEAST_INT, _MOST_INT = -(1 << 63), (1 << 63) - 1

_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200


def flags(context: SpanContext | None) -> int:
    """The `flags` of a span (by its parent) or link (by its target): whether that is remote."""
    remote = context is not None and context.is_remote
    return _HAS_IS_REMOTE | _IS_REMOTE if remote else _HAS_IS_REMOTE


def trace_state(context: SpanContext) -> str:
    """The W3C trace state as text; empty if there is none."""
    state = context.trace_state
    return ",".join(f"{key}={value}" for key, value in state.items()) if state else ""


def is_int(value: Any) -> bool:
    """Whether it is a number that fits into OTLP's integers; others are sent as texts."""
    return isinstance(value, int) and _LEAST_INT <= value <= _MOST_INT


def as_text(value: Any) -> str:
    """What is none of OTLP's types; its `__str__` may be anybody's."""
    try:
        return str(value)
    except Exception as error:
        return f"<unprintable: {type(error).__name__}>"
