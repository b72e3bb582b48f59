"""How much leaves a program that makes much: traces of bounded size and depth, exact numbers."""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import pytest

from launching import Launcher
from receivers import HttpReceiver
from rules import DEEPEST, MAX_SPANS, check_spans
from seen import SeenSpan, spans_of
from tracing import Tracing

NAMES = {"Task": "task ", "TimerHandle": "timer "}

loops = [
    "asyncio",
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not made for this system"),
    ),
]


def counted(spans: Sequence[SeenSpan], first_word: str) -> int:
    """How many were too much for their traces, by what their ancestors say."""
    return sum(
        number
        for span in spans
        for name, number in zip(
            span.attributes.get("whence.counted.names", ()),
            span.attributes.get("whence.counted.numbers", ()),
            strict=True,
        )
        if name.startswith(first_word)
    )


@pytest.mark.parametrize("loop", loops)
def test_what_goes_on_for_ever_nests_no_deeper_than_a_reader_can_use(
    loop: str, traced: Tracing
) -> None:
    ran = traced.launch(*traced.words("endless", "-q", "--min-duration", "0"), env=traced.env(loop))
    assert (ran.code, ran.err) == (0, "")
    spans = spans_of(traced.receiver.received.requests)
    # No orphans, no trace that is too large or too deep.
    check_spans(spans)
    made = json.loads(ran.out)
    for type_name, number in made.items():
        exported = sum(span.type == type_name for span in spans)
        assert exported + counted(spans, NAMES[type_name]) == number, type_name
    sizes = Counter(span.trace_id for span in spans)
    assert max(sizes.values()) == MAX_SPANS
    roots = {span.span_id: span for span in spans if not span.parent_id}
    # What had to begin a new trace says which it continues: no timer, and no task, is lost.
    assert {span.name for span in roots.values() if not span.links} == {"task main"}
    by_id = {span.span_id: span for span in spans}
    depths = Counter(depth(span, by_id) for span in spans)
    assert max(depths) == DEEPEST


CROWD = """
    import asyncio

    class Refused(Exception):
        pass

    async def part():
        await asyncio.sleep(0.002)

    async def visit(number):
        await part()
        if number % 100 == 50:
            raise Refused

    async def main():
        for number in range(300):
            await asyncio.gather(asyncio.create_task(visit(number)), return_exceptions=True)

    asyncio.run(main())
"""
VISITS = 300
REFUSED = 3


def test_a_rate_leaves_out_whole_traces_and_no_failure(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    """Each visit is a trace, for what starts them is left out."""
    options = ["--max-rate", "40", "--min-duration", "0", "--exclude", "name:main"]
    ran = launch.run("--endpoint", http_receiver.url, *options, launch.write("app.py", CROWD))
    assert ran.code == 0
    spans = spans_of(http_receiver.received.requests)
    check_spans(spans)
    visits = {span.trace_id: span for span in spans if span.name == "task visit"}
    assert sum(span.outcome == "failed" for span in visits.values()) == REFUSED
    sizes = Counter(span.trace_id for span in spans)
    for trace_id, visit in visits.items():
        # What had been left out of a trace when that failed is a number.
        assert sizes[trace_id] + counted([visit], "timer ") == 2
        assert sizes[trace_id] == 2 or visit.outcome == "failed"
    lasted = (max(span.end for span in spans) - min(span.start for span in spans)) / 1e9
    # The room of the first second, what has grown, and what failures found beyond it.
    assert len(spans) <= 40 + 40 * lasted + 40 + 2
    left_out = 2 * VISITS - len(spans)
    assert left_out > 0
    assert f"{left_out} spans over --max-rate" in ran.err


def test_a_rate_counts_what_is_sampled_alone(launch: Launcher, http_receiver: HttpReceiver) -> None:
    """A third of the traces is below the rate: none of it is left out."""
    options = ["--max-rate", "400", "--sample", "0.3", "--min-duration", "0", "-v"]
    options += ["--exclude", "name:main"]
    source = CROWD + "\n    from whence.sending import pipeline\n    pipeline.stop(20)\n"
    source += "    print(pipeline.counts().sent, pipeline.counts().unsampled)\n"
    ran = launch.run("--endpoint", http_receiver.url, *options, launch.write("app.py", source))
    sent, unsampled = map(int, ran.out.split())
    assert sent == len(http_receiver.received.spans)
    assert sent + unsampled == 2 * VISITS
    assert 0 < sent < VISITS
    assert "--max-rate" not in ran.err


def depth(span: SeenSpan, by_id: dict[str, SeenSpan]) -> int:
    found = 0
    while span.parent_id:
        span, found = by_id[span.parent_id], found + 1
    return found
