"""The options of `whence run`, read from words and listed for people, both from the table.

Not argparse: it alone would double the time that `whence run` takes to start.
"""

from .options import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Layer
    from .options import Setting


class UsageError(Exception):
    """The command line makes no sense; the text says what was expected."""


class HelpWanted(Exception):
    """The user asked for the list of options."""


_BY_WORD = {row.option: row for row in TABLE} | {row.short: row for row in TABLE if row.short}


def read_options(words: "Sequence[str]") -> "tuple[Layer, list[str]]":
    """The options at the start of the words, and the words that follow them: the program.

    Options end at the first word that is none, at `-m`, or at `--`, which is left out.
    Raises UsageError, or HelpWanted at -h or --help.
    """
    layer: dict[str, tuple[str, str]] = {}
    rest = list(words)
    while rest:
        word = rest[0]
        if word == "--":
            return layer, rest[1:]
        if not word.startswith("-") or word == "-" or word.startswith("-m"):
            break
        if word in ("-h", "--help"):
            raise HelpWanted
        row, label, text = _split(word)
        rest = rest[1:]
        if row.is_flag:
            if text is not None:
                raise UsageError(f"{label}: expected no value, not {text!r}")
            text = "1"
        elif text is None:
            if not rest:
                raise UsageError(f"{label}: expected a value ({row.metavar}) after it")
            text, rest = rest[0], rest[1:]
        if row.is_list and row.name in layer:
            text = f"{layer[row.name][1]},{text}"
        layer[row.name] = (label, text)
    return layer, rest


def _split(word: str) -> "tuple[Setting, str, str | None]":
    """An option, as it was written, and its value if that is in the same word."""
    long = word.startswith("--")
    label, text = (
        (word.partition("=")[0], word.partition("=")[2] if "=" in word else None)
        if long
        else (word[:2], word[2:] or None)
    )
    row = _BY_WORD.get(label)
    if row is None:
        raise UsageError(_unknown(label))
    return row, label, text


def _unknown(label: str) -> str:
    from difflib import get_close_matches

    # The dashes alone make any two options rather alike.
    near = get_close_matches(label, _BY_WORD, n=1, cutoff=0.8)
    return f"{label}: expected an option" + (f" (did you mean {near[0]}?)" if near else "")


def options_help() -> str:
    """One line for each option."""
    lines = []
    for row in TABLE:
        names = f"{row.short}, {row.option}" if row.short else f"    {row.option}"
        lines.append((f"{names} {row.metavar}".rstrip(), row.help))
    lines.append(("-h, --help", "this list"))
    width = max(len(left) for left, _ in lines)
    return "".join(f"  {left:<{width}}  {right}\n" for left, right in lines)
