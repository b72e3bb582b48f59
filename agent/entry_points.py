"""What other distributions offer by entry point.

importlib.metadata takes longer to import than all of whence, and hardly anybody offers anything.
So the files that it would read are searched for the name of the group first; only where one has it,
or where distributions are no folders, is it imported and asked.

Start-up path of every attached process that has a loop.
"""

import os
import sys
from importlib.machinery import PathFinder
from typing import Any

_METADATA = (".dist-info", ".egg-info")
"""How folders of metadata end, in whatever case."""
_IN_EGG = "EGG-INFO"
_FILE = "entry_points.txt"


def entry_points(group: str) -> list[Any]:
    """The `importlib.metadata.EntryPoint`s of a group.  Raises what broken metadata raises."""
    if not _is_named(group):
        return []
    from importlib import metadata

    return list(metadata.entry_points(group=group))


def _is_named(group: str) -> bool:
    """Whether any distribution may have such a group."""
    if any(_finds_distributions(finder) for finder in sys.meta_path):
        return True
    name = group.encode()
    return any(_is_named_in(folder, name) for folder in sys.path)


def _finds_distributions(finder: object) -> bool:
    """In places of its own, which importlib.metadata would ask it for."""
    return finder is not PathFinder and hasattr(finder, "find_distributions")


def _is_named_in(folder: str, name: bytes) -> bool:
    try:
        entries = os.listdir(folder or ".")
        return any(
            name in _content(os.path.join(folder, entry, _FILE))
            for entry in entries
            if entry.lower().endswith(_METADATA) or entry == _IN_EGG
        )
    except FileNotFoundError:
        return False
    except OSError:
        return True  # an archive, say


def _content(file: str) -> bytes:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
