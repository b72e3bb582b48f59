"""What the page asks for: its parameters, read and limited."""

from collections.abc import Mapping

BILLION = 1_000_000_000
_LATEST = 2**63 - 1


class Wrong(ValueError):
    """A parameter that cannot be read; the text is one line for people."""


class NotThere(LookupError):
    """There is no such thing (any more); the text is one line for people."""


class Asked:
    """The parameters of a request."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query

    def text(self, name: str) -> str:
        """A text, empty if it was not given."""
        return self._query.get(name, "")[:500]

    def flag(self, name: str) -> bool:
        """Whether it was asked for."""
        return self._query.get(name, "") not in ("", "0", "false")

    def whole(self, name: str, default: int, most: int) -> int:
        """A whole number, at most `most`."""
        text = self._query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise Wrong(f"{name}: expected a whole number, not {text!r:.50}")
        return min(int(text), most)

    def number(self, name: str) -> float | None:
        """A number that is not negative; None if it was not given."""
        text = self._query.get(name, "")
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e18:
            raise Wrong(f"{name}: expected a number of seconds, not {text!r:.50}")
        return number

    def time(self, name: str, default: int) -> int:
        """A time, in nanoseconds since 1970."""
        seconds = self.number(name)
        return default if seconds is None else min(int(seconds * BILLION), _LATEST)

    def times(self) -> tuple[int, int]:
        """`from` and `to`; without them, all there is."""
        return self.time("from", 0), self.time("to", _LATEST)

    def process(self) -> int:
        """The process that is asked for."""
        if not self._query.get("process"):
            raise Wrong("process: expected the id of a process, as /api/processes has it")
        return self.whole("process", 0, _LATEST)
