"""OTLP's attributes as Python's values."""

from collections.abc import Callable, Iterable
from typing import Any

_DEEPEST = 32
"""Levels of lists and maps; what is deeper is a text."""


def _bytes(value: Any, _: int) -> str:
    text: str = value.bytes_value.hex()
    return text


def _list(value: Any, depth: int) -> list[Any]:
    return [value_of(item, depth + 1) for item in value.array_value.values]


def _map(value: Any, depth: int) -> dict[str, Any]:
    return {item.key: value_of(item.value, depth + 1) for item in value.kvlist_value.values}


def _number(value: Any, _: int) -> float | str:
    number: float = value.double_value
    # JSON knows no others.
    return number if number - number == 0 else str(number)


def _int(value: Any, _: int) -> int | str:
    number: int = value.int_value
    # JavaScript's numbers end there.
    return number if -(2**53) < number < 2**53 else str(number)


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "string_value": lambda value, _: value.string_value,
    "bool_value": lambda value, _: value.bool_value,
    "int_value": _int,
    "double_value": _number,
    "bytes_value": _bytes,
    "array_value": _list,
    "kvlist_value": _map,
}


def value_of(value: Any, depth: int = 0) -> Any:
    """An AnyValue, as JSON has it; None where there is none."""
    reader = _READERS.get(value.WhichOneof("value"))
    if reader is None:
        return None
    return "..." if depth > _DEEPEST else reader(value, depth)


def attributes_of(items: Iterable[Any]) -> dict[str, Any]:
    """The attributes of anything that has some."""
    return {item.key: value_of(item.value) for item in items}
