"""asyncio's debug mode: frames of ours take no place among those that it notes."""

import asyncio
import traceback
from asyncio import format_helpers
from pathlib import Path

import whence
from whence.instrumentation import patching
from whence.testing import record

OURS = {str(Path(module.__file__).parent) for module in (whence, patching) if module.__file__}


def noted() -> list[traceback.StackSummary]:
    """The places of creation of a callback, a timer, a future and a task, made in a callback."""
    found: list[traceback.StackSummary] = []

    def callback(loop: asyncio.AbstractEventLoop, task: asyncio.Future[None]) -> None:
        handle = loop.call_soon(int)
        timer = loop.call_later(10, int)
        future = loop.create_future()
        for made in (handle, timer, future, task):
            found.append(made._source_traceback)  # type: ignore[union-attr]
        timer.cancel()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(asyncio.sleep(0))
        loop.call_soon(callback, loop, task)
        await task
        await asyncio.sleep(0)

    asyncio.run(main(), debug=True)
    return found


def test_the_places_of_creation_are_the_same_with_and_without_a_hook() -> None:
    without = noted()
    with record():
        during = noted()
    for before, after in zip(without, during, strict=True):
        lines = [(frame.filename, frame.name) for frame in before]
        # The line of this test that calls is not the same.
        assert [(frame.filename, frame.name) for frame in after] == lines
        assert not any(frame.filename.startswith(folder) for frame in after for folder in OURS)


def test_what_asyncio_uses_to_note_them_is_put_back() -> None:
    assert vars(format_helpers)["traceback"] is traceback
    with record():
        stand_in = vars(format_helpers)["traceback"]
        assert stand_in is not traceback
        assert stand_in.format_exception is traceback.format_exception
        stack = format_helpers.extract_stack(None, 2)
        assert [frame.name for frame in stack][-1] == (
            "test_what_asyncio_uses_to_note_them_is_put_back"
        )
        assert len(stack) == 2
    assert vars(format_helpers)["traceback"] is traceback
