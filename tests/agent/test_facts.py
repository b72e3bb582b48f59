"""What there is to say at the end, gathered in real programs."""

import socket
import textwrap
from typing import Any

import pytest

from launching import Launcher
from receivers import HttpReceiver, free_port

TELLING = """

import json
from whence import attaching, facts
from whence.sending import pipeline

pipeline.stop()
told = facts.end_facts(attaching.settings())
block = told.worst_block
print(json.dumps({
    "created": told.created,
    "open": told.open,
    "never_settled": told.never_settled,
    "block": block and [block.seconds, block.site, block.name],
    "dropped": told.dropped,
    "over_spans": told.over_spans,
    "unsampled": told.unsampled,
    "problems": told.problems,
    "where": told.where,
}))
"""


@pytest.fixture
def facts_of(launch: Launcher) -> Any:
    """Runs a program and gives its facts."""

    def run(program: str, **config: Any) -> Any:
        config = {"export": "none", **config}
        attach = f"import whence; whence.attach(**{config!r})\n"
        launch.write("app.py", attach + textwrap.dedent(program) + TELLING)
        return launch(launch.python, "app.py").json

    return run


def test_a_program_that_did_nothing_has_nothing_to_tell(facts_of: Any) -> None:
    assert facts_of("") == {
        "created": 0,
        "open": [],
        "never_settled": 0,
        "block": None,
        "dropped": 0,
        "over_spans": 0,
        "unsampled": 0,
        "problems": [],
        "where": [],
    }


def test_a_program_that_ends_well_leaves_nothing_open(facts_of: Any) -> None:
    told = facts_of(
        """
        import asyncio

        async def main():
            await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(5)))

        asyncio.run(main())
        """
    )
    assert told["created"] > 10
    assert (told["open"], told["never_settled"]) == ([], 0)


def test_what_is_open_is_named_with_what_led_to_it(facts_of: Any) -> None:
    told = facts_of(
        """
        import asyncio

        async def poll():
            await asyncio.sleep(3600)

        async def main():
            global polling
            polling = asyncio.create_task(poll())
            await asyncio.sleep(0.001)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        """
    )
    assert sorted(told["open"]) == [
        ["task poll app.py:10", "task main app.py:14"],
        ["timer sleep app.py:6", "task poll app.py:10", "task main app.py:14"],
    ]
    assert told["never_settled"] == 1, "the sleep's own future"


def test_a_long_chain_is_cut(facts_of: Any) -> None:
    functions = "".join(
        f"async def step{n}():\n"
        f"    tasks.append(asyncio.create_task(step{n + 1}()))\n"
        f"    await asyncio.get_running_loop().create_future()\n"
        for n in range(9)
    )
    told = facts_of(
        "import asyncio\n"
        "tasks = []\n" + functions + "async def step9():\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "loop = asyncio.new_event_loop()\n"
        "tasks.append(loop.create_task(step0()))\n"
        "for _ in range(20):\n"
        "    loop.run_until_complete(asyncio.sleep(0))\n"
    )
    longest = max(told["open"], key=len)
    names = [hop.rpartition(" ")[0] for hop in longest]
    assert len(names) == 5
    assert names[0].startswith("task step")


def test_futures_that_never_settled_are_counted_dropped_or_not(facts_of: Any) -> None:
    told = facts_of(
        """
        import asyncio, gc

        loop = asyncio.new_event_loop()
        kept = [loop.create_future() for _ in range(3)]
        for _ in range(4):
            loop.create_future()
        gc.collect()
        for _ in range(2):
            loop.create_future().set_result(None)
        loop.run_until_complete(asyncio.sleep(0))
        """
    )
    assert told["never_settled"] == 7


def test_the_line_that_held_the_loop_is_named(facts_of: Any) -> None:
    program = """
        import asyncio, time

        async def checkout():
            time.sleep(0.15)

        async def main():
            await asyncio.create_task(checkout())

        asyncio.run(main())
        """
    seconds, site, name = facts_of(program)["block"]
    assert 0.15 <= seconds < 5
    assert (site, name) == ("app.py:6", "task checkout")
    assert facts_of(program, slow=10_000)["block"] is None


WORK = """
    import asyncio

    async def main():
        await asyncio.sleep(0.005)

    asyncio.run(main())
"""


def test_what_did_not_arrive_is_counted_and_explained(facts_of: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    told = facts_of(WORK, export="otlp", endpoint=url)
    assert told["dropped"] == 2
    assert told["problems"] == [f"no OTLP receiver at {url} (connection refused)"]
    assert told["where"] == []


def test_a_receiver_that_keeps_silent_to_the_end_is_named(facts_of: Any) -> None:
    """What it was being sent then has no other outcome."""
    program = """
        import asyncio
        from whence.sending import pipeline

        async def main():
            await asyncio.create_task(asyncio.sleep(0.002))
            while not any(each.pending for each in pipeline.destinations()):
                await asyncio.sleep(0.01)

        asyncio.run(main())
        """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        told = facts_of(program, export="otlp", endpoint=url)
    assert told["dropped"] >= 2
    assert told["problems"] == [f"the OTLP receiver at {url} did not answer in time"]


def test_what_was_left_out_is_counted(facts_of: Any, http_receiver: HttpReceiver) -> None:
    told = facts_of(WORK, export="otlp", endpoint=http_receiver.url, max_spans=1)
    assert (told["over_spans"], told["unsampled"]) == (1, 0)
    told = facts_of(WORK, export="otlp", endpoint=http_receiver.url, sample=0)
    assert (told["over_spans"], told["unsampled"]) == (0, 2)


def test_a_place_in_a_library_is_told_from_its_package_on(facts_of: Any, launch: Launcher) -> None:
    launch.write(
        "venv/site-packages/lib/work.py",
        "import asyncio\nasync def poll():\n    await asyncio.sleep(3600)\n"
        "def begin():\n    return asyncio.create_task(poll())\n",
    )
    told = facts_of(
        """
        import asyncio, sys
        sys.path.insert(0, "venv/site-packages")
        from lib.work import begin

        async def main():
            global polling
            polling = begin()
            await asyncio.sleep(0.001)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        """
    )
    assert ["task poll lib/work.py:5", "task main app.py:13"] in told["open"]


def test_where_to_look_is_said_of_what_arrived(
    facts_of: Any, launch: Launcher, http_receiver: HttpReceiver
) -> None:
    path = str(launch.folder / "spans.jsonl")
    told = facts_of(WORK, export="otlp,file", endpoint=http_receiver.url, output=path)
    assert told["dropped"] == 0
    assert told["problems"] == []
    assert ["file", path] in told["where"]
