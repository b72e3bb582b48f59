"""OpenTelemetry's limits on attributes: how many, and how long a text may be."""

from typing import Any

from opentelemetry.sdk.trace import SpanLimits


def limited(attributes: dict[str, Any], limits: SpanLimits) -> tuple[dict[str, Any], int]:
    """What the limits leave of the attributes of a span, and how many they take away."""
    most, longest = limits.max_span_attributes, limits.max_span_attribute_length
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
