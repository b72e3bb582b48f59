"""Numbers with room for larger ones, as protobuf's own parser reads them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from whence.exporters.otlp import protobuf_wire as wire
from whence.exporters.otlp.overlong import HIGH, LAST, LOW, LOW_BITS, LOW_MASK, three_bytes


def read(varint: bytes) -> int:
    value: int = AnyValue.FromString(wire.INT_VALUE + varint).int_value
    return value


def test_every_number_of_two_bytes() -> None:
    assert [read(struct.pack("<H", last)) for last in LAST] == list(range(1 << 14))


@given(st.one_of(st.integers(0, 1 << 15), st.integers(0, (1 << 42) - 1)))
def test_numbers_of_six_bytes(number: int) -> None:
    assert read(struct.pack("<HI", LOW[number & LOW_MASK], HIGH[number >> LOW_BITS])) == number


@pytest.mark.parametrize("number", [1 << 42, 1 << 63, -1, -(1 << 70)])
def test_what_has_no_room_is_an_error(number: int) -> None:
    with pytest.raises(OverflowError, match="expected a number of 42 bits"):
        HIGH[number >> LOW_BITS]


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.exporters.otlp.overlong._MAX_KNOWN", 5)
    for number in range(1000, 1020):
        assert read(struct.pack("<HI", LOW[0], HIGH[number])) == number << LOW_BITS
    assert len(HIGH) <= 5


@pytest.mark.parametrize("number", [0, 1, 127, 128, 1 << 14, (1 << 21) - 1])
def test_lengths(number: int) -> None:
    assert len(three_bytes(number)) == 3
    assert read(three_bytes(number)) == number


def test_a_length_that_has_no_room_is_an_error() -> None:
    with pytest.raises(IndexError):
        three_bytes(1 << 21)
