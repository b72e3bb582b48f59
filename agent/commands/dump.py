"""`whence dump`: what a process has open, in a file, to look at later or for `whence diff`."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from ..serving.asking import NoAnswer
from ..serving.processes import Process, the_process
from ..serving.protocol import VERSION
from .showing import counted, file_name
from .words import Parser, add_process, whole

MARK = "whence_dump"
"""The key by which a file is known to be a dump; its value is the version."""
_LIMIT = 20_000

DESCRIPTION = """\
Writes what the process has open as JSON: every resource with its state, times, place of creation,
stack and what triggered it; and how many there are from each place of creation.
"""


def main(words: list[str]) -> int:
    """Write; 0.  Raises UsageError, NoAnswer."""
    parser = Parser("dump", DESCRIPTION)
    add_process(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where it goes (default: standard output)"
    )
    parser.add_argument(
        "--limit",
        type=whole(0),
        default=_LIMIT,
        metavar="N",
        help=f"resources, at the most; places of creation are always all (default: {_LIMIT})",
    )
    options = parser.parse_args(words)
    taken = take_dump(the_process(options.process), options.limit)
    if options.output in (None, "-"):
        print(json.dumps(taken, indent=1))
        return 0
    _write(options.output, taken)
    summary = counted(len(taken["resources"]), "resource")
    print(f"{summary} of pid {taken['process']['pid']} in {options.output}", file=sys.stderr)
    return 0


def take_dump(process: Process, limit: int) -> dict[str, Any]:
    """What there is now: {whence_dump, taken, process, resources, by_site ...}."""
    return {
        MARK: VERSION,
        "taken": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **process.ask("dump", limit=limit),
    }


def read_dump(path: str) -> dict[str, Any]:
    """One that was written.  Raises NoAnswer for what is none, or of another version."""
    name = file_name(os.path.abspath(path))
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        raise NoAnswer(f"expected a file of `whence dump`, or a pid, not {path!r}") from None
    except OSError as error:
        raise NoAnswer(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise NoAnswer(f"{name}: expected a dump of `whence dump`, this is no JSON") from None
    version = found.get(MARK) if isinstance(found, dict) else None
    if version is None:
        raise NoAnswer(f"{name}: expected a dump of `whence dump`, this is other JSON")
    if version != VERSION:
        raise NoAnswer(
            f"{name}: expected a dump of version {VERSION}, this is of version {version!r}; "
            "read it with the whence that wrote it"
        )
    if not (isinstance(found.get("by_site"), list) and isinstance(found.get("process"), dict)):
        raise NoAnswer(f"{name}: expected a whole dump, parts of this one are missing")
    return found  # type: ignore[no-any-return]


def _write(path: str, taken: dict[str, Any]) -> None:
    """All of it or nothing, and for this user's eyes: it names places of the program."""
    unfinished = f"{path}.{os.getpid()}.part"
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(taken, file, indent=1)
                file.write("\n")
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise
    except OSError as error:
        raise NoAnswer(f"{path} cannot be written: {error.strerror}") from None
