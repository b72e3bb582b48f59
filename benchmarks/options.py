"""Readers of command-line values that say on one line what was expected and what came."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

ENGINES = ("python", "c")


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the options on one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"benchmarks: {message}\n")


def positive_int(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Read a finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text!r}")
    return number


def percentage(text: str) -> float:
    """Read a percentage and return the part that it stands for."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a percentage such as 5, not {text!r}")
    return number / 100


def some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a reader of comma-separated names out of `known`, which also puts them in order."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"expected some of {','.join(known)}, not {name!r}"
                )
        return [name for name in known if name in names]

    return read
