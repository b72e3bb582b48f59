"""Programs that end themselves by a signal."""

import signal
import sys

import pytest

from launching import Launcher
from receivers import HttpReceiver
from seen import spans_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals end no process there")

PROGRAM = """
import asyncio, signal, sys

async def work():
    await asyncio.sleep(0.01)

asyncio.run(work())
{before}
signal.raise_signal(signal.{number})
{after}
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_program_that_ends_itself_by_a_signal_has_sent_its_spans(
    number: str, launch: Launcher, http_receiver: HttpReceiver
) -> None:
    program = launch.write("program.py", PROGRAM.format(number=number, before="", after=""))
    ran = launch.run("--endpoint", http_receiver.url, program)
    assert ran.code == -getattr(signal, number)
    spans = spans_of(http_receiver.received.requests)
    assert sorted(span.name for span in spans) == ["task work", "timer sleep"]
    assert "resources" in ran.err, "the block at the end"


@pytest.mark.parametrize(
    "before",
    [
        "signal.signal(signal.SIGTERM, lambda *_: None)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
    ],
)
def test_a_program_that_survives_its_signal_goes_on_being_seen(
    before: str, launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = PROGRAM.format(number="SIGTERM", before=before, after="asyncio.run(work())")
    ran = launch.run("--endpoint", http_receiver.url, launch.write("program.py", source))
    assert ran.code == 0, ran.err
    spans = spans_of(http_receiver.received.requests)
    assert sorted(span.name for span in spans) == ["task work"] * 2 + ["timer sleep"] * 2


def test_a_wrong_signal_is_refused_as_ever(launch: Launcher) -> None:
    program = launch.write(
        "program.py",
        """
        import asyncio, signal
        for wrong in ((), ("SIGTERM",), (9999,)):
            try:
                signal.raise_signal(*wrong)
            except Exception as error:
                print(type(error).__name__)
        """,
    )
    ran = launch.run("-q", "--export", "none", program)
    assert ran.out.split() == ["TypeError", "TypeError", "OSError"], ran.err
