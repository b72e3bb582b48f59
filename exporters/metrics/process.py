"""What the operating system and CPython say of this process.

Names and units as in https://opentelemetry.io/docs/specs/semconv/system/process-metrics/ and
https://opentelemetry.io/docs/specs/semconv/runtime/cpython-metrics/.  What a system does not tell
has no value there.
"""

import gc
import os
from _thread import _count as threads_of_python
from collections.abc import Iterator
from typing import Any

Point = tuple[float, dict[str, Any]]
"""A value and its attributes."""

_START_TIME = 19
_THREADS = 17
"""Fields of /proc/self/stat, counted behind the command: proc(5)."""
_FOLDERS_OF_DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


def cpu_time() -> Iterator[Point]:
    """Seconds in which it executed."""
    times = os.times()
    yield times.user, {"cpu.mode": "user"}
    yield times.system, {"cpu.mode": "system"}


def memory() -> Iterator[Point]:
    """Bytes of physical memory."""
    yield from _pages(1)


def virtual_memory() -> Iterator[Point]:
    """Bytes of address space."""
    yield from _pages(0)


def threads() -> Iterator[Point]:
    """Threads of the system; where it does not tell, those of Python."""
    stat = _stat()
    yield int(stat[_THREADS]) if stat else threads_of_python() + 1, {}


def open_descriptors() -> Iterator[Point]:
    """Open file descriptors."""
    for folder in _FOLDERS_OF_DESCRIPTORS:
        try:
            # One of them is that of the listing.
            yield len(os.listdir(folder)) - 1, {}
            return
        except OSError:
            continue


def uptime() -> Iterator[Point]:
    """Seconds since it began, or since the fork that it began with."""
    stat = _stat()
    if stat:
        seconds = _read("/proc/uptime").split()
        if seconds:
            started = int(stat[_START_TIME]) / os.sysconf("SC_CLK_TCK")
            yield max(0.0, float(seconds[0]) - started), {}


def collections() -> Iterator[Point]:
    """How often each generation was collected."""
    yield from _generations("collections")


def collected_objects() -> Iterator[Point]:
    """How many objects the collector has freed."""
    yield from _generations("collected")


def uncollectable_objects() -> Iterator[Point]:
    """How many objects the collector could not free."""
    yield from _generations("uncollectable")


def _generations(key: str) -> Iterator[Point]:
    for generation, numbers in enumerate(gc.get_stats()):
        yield numbers[key], {"cpython.gc.generation": generation}


def _pages(field: int) -> Iterator[Point]:
    sizes = _read("/proc/self/statm").split()
    if sizes:
        yield int(sizes[field]) * os.sysconf("SC_PAGE_SIZE"), {}


def _stat() -> list[str]:
    """The fields behind the command, which may hold anything."""
    return _read("/proc/self/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
