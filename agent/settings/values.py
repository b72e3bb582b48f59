"""From the text of a setting to its value.

A reader takes the text and returns the value, or raises Unreadable, which says what was expected
and which part of the text was not it.  config.py adds the setting's name.
Start-up path: imports nothing heavy.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

GLOB_KINDS = {
    "module": ("module",),
    "name": ("name",),
    "type": ("type",),
    "trace": ("name",),
    "": ("module", "name"),
}
"""What stands before the colon of a glob -> what it is matched with."""

EXPORTERS = ("otlp", "console", "file", "none")
"""The exporters that come with whence; entry points add others."""

MAX_SHOWN = 100
"""Characters of a wrong value that a message shows."""

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class Unreadable(ValueError):
    """A text that is no value of its setting."""

    def __init__(self, expected: str, came: str) -> None:
        shown = repr(came if len(came) <= MAX_SHOWN else came[:MAX_SHOWN] + "...")
        super().__init__(f"expected {expected}, not {shown}")


def read_bool(text: str) -> bool:
    """1, true, yes, on or their opposites, in any case."""
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Unreadable("1 or 0", text)


def read_dashboard(text: str) -> bool | str:
    """A switch; or where the page is, which `whence run` has found and tells the program."""
    return read_url(text) if "://" in text else read_bool(text)


def read_text(text: str) -> str:
    """Anything but nothing."""
    if not text.strip():
        raise Unreadable("a text that is not empty", text)
    return text.strip()


def read_path(text: str) -> str:
    """A file, made absolute: the program may change its directory before the file is opened."""
    return os.path.abspath(read_text(text))


def read_items(text: str) -> tuple[str, ...]:
    """A comma list without empty items."""
    items = tuple(item.strip() for item in text.split(","))
    if not all(items):
        raise Unreadable("a comma list without empty items", text)
    return items


def read_globs(text: str) -> tuple[str, ...]:
    """Globs of modules, names, types and traces: `shop.*`, `module:shop`, `name:poll_*`,
    `type:*Timer*`, `trace:GET /health`."""
    globs = read_items(text)
    for glob in globs:
        kind, pattern = split_glob(glob)
        if kind not in GLOB_KINDS or not pattern:
            raise Unreadable(
                "globs such as shop.*, module:shop, name:poll_*, type:*Timer* or trace:GET /x", glob
            )
    return globs


def split_glob(glob: str) -> tuple[str, str]:
    """What stands before its colon, and its pattern; a bare one is of no kind."""
    kind, colon, pattern = glob.partition(":")
    return (kind.strip() or ":", pattern.strip()) if colon else ("", glob)


def read_url(text: str) -> str:
    """An http or https URL with a host, and with a port that there is."""
    scheme, _, rest = text.strip().partition("://")
    host = rest.partition("/")[0]
    if scheme.lower() not in ("http", "https") or not host or host.startswith(":"):
        raise Unreadable("a URL such as http://localhost:4318", text)
    # Before the host may be a user's name; brackets are round an address of IPv6.
    port = host.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise Unreadable("a URL such as http://localhost:4318, its port from 1 to 65535", text)
    return text.strip()


def one_of(*words: str) -> "Callable[[str], str]":
    """A reader that takes one of these words."""

    def read(text: str) -> str:
        if text.strip() not in words:
            raise Unreadable(f"one of {', '.join(words)}", text)
        return text.strip()

    return read


def number(expected: str, accepts: "Callable[[float], bool]") -> "Callable[[str], float]":
    """A reader of finite numbers; `expected` says in words, with the unit, what `accepts` tests."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise Unreadable(expected, text) from None
        if not (accepts(value) and value < float("inf")):
            raise Unreadable(expected, text)
        return value

    return read


def whole(expected: str, least: int, most: float = float("inf")) -> "Callable[[str], int]":
    """A reader of whole numbers from `least` to `most`; `expected` says it in words."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise Unreadable(expected, text) from None
        if not least <= value <= most:
            raise Unreadable(expected, text)
        return value

    return read


def read_stacks(text: str) -> int:
    """How many frames of a creation site to keep: off is 0, site is 1."""
    word = text.strip()
    if word == "off":
        return 0
    if word == "site":
        return 1
    return whole("off, site, or a number of frames from 0 to 128", 0, 128)(word)


def read_types(text: str) -> frozenset[str]:
    """The types named; `all`; a list that only removes (`-Task`) removes from the default."""
    from ..engine.resource_types import known_types

    rows = {row.name: row for row in known_types()}
    items = read_items(text)
    if all(item.startswith("-") for item in items):
        chosen = {name for name, row in rows.items() if not row.transparent}
    else:
        chosen = set()
    for item in items:
        name = item.removeprefix("-")
        if name == "all" and item == name:
            chosen.update(rows)
        elif name not in rows:
            raise Unreadable(f"types out of {', '.join(rows)}, or all", item)
        elif item == name:
            chosen.add(name)
        else:
            chosen.discard(name)
    return frozenset(chosen)


def read_export(text: str) -> tuple[str, ...]:
    """Names of exporters, each once; `none` stands alone."""
    names = tuple(dict.fromkeys(read_items(text)))
    for name in names:
        if name not in EXPORTERS and not _is_third_party_exporter(name):
            raise Unreadable(f"one of {', '.join(EXPORTERS)}, or an installed exporter", name)
    if "none" in names and len(names) > 1:
        raise Unreadable("none alone, or other exporters without it", text)
    return names


def _is_third_party_exporter(name: str) -> bool:
    # Slow, and imports much: only a program that asks for such an exporter pays for it.
    from importlib.metadata import entry_points

    groups = ("whence.exporters", "opentelemetry_traces_exporter")
    return any(entry_points(group=group, name=name) for group in groups)
