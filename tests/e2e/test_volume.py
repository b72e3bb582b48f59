"""How much leaves a program that makes much: traces of bounded size and depth, exact numbers."""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import pytest

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


def depth(span: SeenSpan, by_id: dict[str, SeenSpan]) -> int:
    found = 0
    while span.parent_id:
        span, found = by_id[span.parent_id], found + 1
    return found
