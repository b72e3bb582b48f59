import sys

import pytest

from launching import Launcher
from whence.report import (
    MAX_OPEN_LINES,
    Block,
    EndFacts,
    StartFacts,
    end_block,
    start_line,
    warn,
)


def test_the_start_line_says_who_where_and_what() -> None:
    facts = StartFacts(
        version="0.1.0",
        pid=4242,
        runtime="asyncio/3.12",
        engine="python",
        service="shop",
        types=17,
        exports=["otlp http://localhost:4318", "console"],
        hint="why? kill -USR1 4242",
    )
    assert start_line(facts) == (
        "whence 0.1.0  pid 4242  asyncio/3.12  engine=python  service=shop  17 types  "
        "otlp http://localhost:4318  console  why? kill -USR1 4242"
    )


def test_the_end_block_says_what_stayed_open_what_blocked_and_where_to_look() -> None:
    facts = EndFacts(
        created=12481,
        open=[
            ("TimerHandle app.py:88", "Task poll app.py:31", "main"),
            ("Server app.py:12", "main"),
            ("TimerHandle app.py:88", "Task poll app.py:31", "main"),
        ],
        never_settled=1,
        worst_block=Block(0.2119, "app.py:41", "checkout"),
        dropped=3,
        over_rate=1200,
        over_spans=40,
        unsampled=1,
        problems=["no OTLP receiver at http://localhost:4318"],
        where=[("traces", "http://localhost:16686/search?service=shop")],
    )
    assert end_block(facts).splitlines() == [
        "whence: 12 481 resources, 3 still open, 1 future never settled,"
        " worst block 212 ms app.py:41 (checkout), 3 spans dropped,"
        " 1 200 spans over --max-rate, 40 spans over --max-spans, 1 span not sampled",
        "        open    TimerHandle app.py:88 <- Task poll app.py:31 <- main  (2 times)",
        "        open    Server app.py:12 <- main",
        "        failed  no OTLP receiver at http://localhost:4318",
        "        traces  http://localhost:16686/search?service=shop",
    ]


def test_a_quiet_end_is_one_line() -> None:
    assert end_block(EndFacts(created=1)) == "whence: 1 resource"


def test_a_long_list_of_what_is_open_is_cut_and_counted() -> None:
    chains = [(f"Task {n}",) for n in range(MAX_OPEN_LINES + 1000) for _ in range(2)]
    lines = end_block(EndFacts(created=0, open=chains)).splitlines()
    assert len(lines) == 1 + MAX_OPEN_LINES + 1
    assert lines[-1].split() == ["open", "and", "2", "000", "more"]


def test_it_is_said_on_the_real_stderr_whatever_the_program_made_of_it(launch: Launcher) -> None:
    source = """
        import io, sys
        from whence.report import say
        sys.stderr = io.StringIO()
        say("two\\nlines \\ud800")
        print(repr(sys.stderr.getvalue()))
    """
    said = launch(launch.python, launch.write("app.py", source))
    assert (said.code, said.out, said.err) == (0, "''\n", "two\nlines \\ud800\n")


def test_a_warning_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    warn("ValueError('a\nb')\n")
    assert capfd.readouterr() == ("", "whence: ValueError('a b')\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_disturbs_nobody(stderr: str, launch: Launcher) -> None:
    source = "from whence.report import say; say('text'); print('done')"
    said = launch("/bin/sh", "-c", f'exec "$0" -c "{source}" {stderr}', launch.python)
    assert (said.code, said.out) == (0, "done\n")
