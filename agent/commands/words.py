"""The words of a verb that asks processes: read by argparse, wrong ones said on one line."""

import argparse
from typing import Any, NoReturn

from ..settings.arguments import UsageError


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, verb: str, description: str, **more: Any) -> None:
        super().__init__(
            prog=f"whence {verb}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **more,
        )

    def error(self, message: str) -> NoReturn:
        """Say it as the rest of the command line does."""
        raise UsageError(message)


def add_process(parser: argparse.ArgumentParser) -> None:
    """The process that is asked; may be left out where there is only one."""
    parser.add_argument(
        "process",
        metavar="PID",
        nargs="?",
        default="",
        help="of a process with the agent, or its service's name; not needed if there is only one",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """For programs that read it."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def words_of(text: str) -> list[str]:
    """A list with commas."""
    return [word for part in text.split(",") if (word := part.strip())]


def whole(least: int) -> Any:
    """Reads a whole number from `least` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number, {least} or more, not {text!r}"
            )
        return number

    return read
