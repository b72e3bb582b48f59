"""OpenTelemetry's limits: how many attributes, events and links, and how long a text may be."""

from typing import Any, TypeVar

from opentelemetry.sdk.trace import SpanLimits

from whence.report import warn

Item = TypeVar("Item")

_MOST = 128
"""Of attributes, events and links, where nothing is said: OpenTelemetry's own."""


def limits_of_environment() -> SpanLimits:
    """What OTEL_SPAN_* and OTEL_ATTRIBUTE_* say; the defaults if one cannot be read, and a line."""
    try:
        return SpanLimits()
    except ValueError as error:
        warn(f"{error}; OpenTelemetry's default limits hold")
    unlimited = SpanLimits.UNSET
    return SpanLimits(_MOST, _MOST, _MOST, _MOST, _MOST, _MOST, unlimited, unlimited)


def limited(attributes: dict[str, Any], limits: SpanLimits) -> tuple[dict[str, Any], int]:
    """What the limits leave of the attributes of a span, and how many they take away."""
    return _limited(attributes, limits.max_span_attributes, limits.max_span_attribute_length)


def limited_of_event(attributes: dict[str, Any], limits: SpanLimits) -> dict[str, Any]:
    """What the limits leave of the attributes of an event."""
    return _limited(attributes, limits.max_event_attributes, limits.max_attribute_length)[0]


def latest(items: list[Item], most: int | None) -> list[Item]:
    """The events or links that the limits leave: the last ones."""
    return items if most is None or len(items) <= most else items[len(items) - most :]


def _limited(
    attributes: dict[str, Any], most: int | None, longest: int | None
) -> tuple[dict[str, Any], int]:
    dropped = 0
    if most is not None and len(attributes) > most:
        dropped = len(attributes) - most
        attributes = dict(list(attributes.items())[:most])
    if longest is not None:
        attributes = {key: _shortened(value, longest) for key, value in attributes.items()}
    return attributes, dropped


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value[:longest]
    if isinstance(value, list):
        return [_shortened(item, longest) for item in value]
    return value
