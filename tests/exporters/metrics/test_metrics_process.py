"""What the system and CPython say of this process."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from whence.exporters.metrics import process

linux = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")

Read = Callable[[], Iterable[tuple[float, dict[str, Any]]]]


def value(read: Read) -> float:
    ((number, about),) = read()
    assert about == {}
    return number


def test_cpu_time_is_in_seconds_by_mode() -> None:
    before = {about["cpu.mode"]: seconds for seconds, about in process.cpu_time()}
    assert before.keys() == {"user", "system"}
    until = sum(before.values()) + 0.05
    while sum(os.times()[:2]) < until:
        pass
    assert sum(seconds for seconds, _ in process.cpu_time()) >= until


@linux
def test_memory_is_in_bytes_and_grows_with_what_is_held() -> None:
    before = value(process.memory)
    held = b"x" * 50_000_000
    assert value(process.memory) - before > 40_000_000
    assert value(process.virtual_memory) > value(process.memory)
    del held


@linux
def test_threads_are_those_of_the_system() -> None:
    before = value(process.threads)
    ends = threading.Event()
    threads = [threading.Thread(target=ends.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert value(process.threads) == before + 3
    finally:
        ends.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(os.name != "posix", reason="there are none")
def test_descriptors_are_those_that_are_open() -> None:
    before = value(process.open_descriptors)
    with open(os.devnull, "rb"), open(os.devnull, "rb"):
        assert value(process.open_descriptors) == before + 2
    assert value(process.open_descriptors) == before


@linux
def test_uptime_is_in_seconds_since_the_process_began() -> None:
    began = float(Path("/proc/uptime").read_text().split()[0]) - value(process.uptime)
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert began == pytest.approx(ticks / os.sysconf("SC_CLK_TCK"), abs=0.05)


def test_the_collector_is_counted_by_generation() -> None:
    def counted(read: Read) -> list[float]:
        points = list(read())
        assert [about for _, about in points] == [{"cpython.gc.generation": n} for n in range(3)]
        return [number for number, _ in points]

    before, freed = counted(process.collections), counted(process.collected_objects)
    for _ in range(10):
        cycle: list[Any] = []
        cycle.append(cycle)
    del cycle
    gc.collect()
    assert counted(process.collections)[2] == before[2] + 1
    assert counted(process.collected_objects)[2] >= freed[2] + 10
    assert len(counted(process.uncollectable_objects)) == 3


def test_a_system_that_tells_nothing_has_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_read", lambda path: "")
    monkeypatch.setattr(process, "_FOLDERS_OF_DESCRIPTORS", ("/no/such/folder",))
    for read in (
        process.memory,
        process.virtual_memory,
        process.uptime,
        process.open_descriptors,
    ):
        assert list(read()) == []
    assert value(process.threads) >= 1
