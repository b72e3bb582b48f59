"""What blocks, summed by place, and how many resources there are from each."""

import asyncio
from collections.abc import Iterator

import pytest

import whence
from whence.engine.blocks import MAX_PLACES, Block, Blocks, blocks
from whence.engine.sites import Site
from whence.serving.by_site import by_site
from whence.serving.pulse import pulse

HERE = Site("app.py", 3, "main")


@pytest.fixture(autouse=True)
def attached() -> Iterator[None]:
    whence.attach(export=("none",), no_live=True)
    yield
    whence.detach()
    blocks.clear()


def test_blocks_of_one_place_are_added_up() -> None:
    made = Blocks()
    for milliseconds in (200, 500, 300):
        made.add(Block(milliseconds * 1_000_000, "Task", "poll", HERE))
    made.add(Block(100_000_000, "Task", "other", HERE))
    assert made.places == {
        ("Task", "poll", HERE): (3, 1_000_000_000, 500_000_000),
        ("Task", "other", HERE): (1, 100_000_000, 100_000_000),
    }
    assert made.worst is not None
    assert made.worst.nanoseconds == 500_000_000


def test_places_that_block_are_bounded_and_the_known_ones_go_on() -> None:
    made = Blocks()
    for line in range(MAX_PLACES + 10):
        made.add(Block(1, "Task", None, Site("app.py", line, "main")))
    made.add(Block(1, "Task", None, Site("app.py", 0, "main")))
    assert len(made.places) == MAX_PLACES
    assert made.places["Task", None, Site("app.py", 0, "main")][0] == 2


def test_the_places_that_took_the_most_are_told_first() -> None:
    for name, milliseconds in (("a", 200), ("b", 900)):
        blocks.add(Block(milliseconds * 1_000_000, "Task", name, HERE))
    first, second = pulse()["blockers"]
    assert (first["name"], first["seconds"], first["number"]) == ("task b", 0.9, 1)
    assert second["site"] == {"file": "app.py", "line": 3, "function": "main"}


def test_counters_grow_and_resources_are_counted_by_place() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        before = pulse()
        kept = [asyncio.create_task(work()) for _ in range(5)]
        after = pulse()
        created = [looked["types"]["Task"]["created"] for looked in (before, after)]
        assert created[1] - created[0] == 5
        assert after["at"] >= before["at"]
        (group,) = [one for one in by_site() if one["name"].endswith("work")]
        assert (group["count"], group["type"]) == (5, "Task")
        assert group["site"]["file"] == __file__
        for task in kept:
            task.cancel()

    asyncio.run(main())
