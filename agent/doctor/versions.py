"""The versions that whence is tested with: from the first one, up to but without the second."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Version: TypeAlias = tuple[int, ...]

PYTHON = ((3, 11), (3, 14))

LIBRARIES: "dict[str, tuple[Version, Version]]" = {
    "aiohttp": ((3, 11), (3, 15)),
    "uvloop": ((0, 22), (0, 24)),
}


def is_tested(library: str, version: str | None) -> bool | None:
    """Whether that version is within the range; None if there is no range, or no version."""
    if version is None or library not in LIBRARIES:
        return None
    first, beyond = LIBRARIES[library]
    return first <= read_version(version) < beyond


def range_of(library: str) -> str:
    """As requirements have it, such as `>=0.22,<0.24`; empty if there is none."""
    if library not in LIBRARIES:
        return ""
    first, beyond = (".".join(map(str, version)) for version in LIBRARIES[library])
    return f">={first},<{beyond}"


def read_version(text: str) -> "Version":
    """The numbers at its beginning: (0, 23, 0) of `0.23.0rc1`."""
    numbers = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
