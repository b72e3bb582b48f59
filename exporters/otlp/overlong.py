"""Varints of protobuf that always have the same width, as numbers for `struct` to pack.

A varint may have more bytes than it needs: seven zeros and "there is more", as often as one likes.
"""

LOW_BITS = 14
LOW_MASK = (1 << LOW_BITS) - 1
_HIGH_BITS = 28
_MAX_KNOWN = 10_000

LAST = [number & 0x7F | 0x80 | number >> 7 << 8 for number in range(1 << LOW_BITS)]
"""Number of 14 bits -> a whole varint of two bytes, "H"."""
LOW = [last | 0x8000 for last in LAST]
"""Number of 14 bits -> the first two bytes of a longer one, "H"."""
_ONE_BYTE = [bytes((number,)) for number in range(0x80)]


class _High(dict[int, int]):
    """The number above its lowest 14 bits -> the last four bytes of its varint, "I".

    Ids are given one after the other: thousands of them share this."""

    def __missing__(self, number: int) -> int:
        """OverflowError if the whole has more than 42 bits."""
        if number >> _HIGH_BITS:
            raise OverflowError(f"expected a number of 42 bits, not {number << LOW_BITS}...")
        if len(self) >= _MAX_KNOWN:
            self.clear()
        made = self[number] = LOW[number & LOW_MASK] | LAST[number >> LOW_BITS] << 16
        return made


HIGH = _High()


def three_bytes(number: int) -> bytes:
    """A varint of three bytes.  IndexError if the number has more than 21 bits."""
    return LOW[number & LOW_MASK].to_bytes(2, "little") + _ONE_BYTE[number >> LOW_BITS]
