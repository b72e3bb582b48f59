"""What holds of the spans of every program, whatever it does: the rules of a trace, checked from
outside.

The parents are worked out a second time, from the raw events that a hook heard in the program: what
was created, and what triggered it.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seen import SeenSpan

ALWAYS = frozenset(
    {
        "whence.type",
        "whence.async_id",
        "whence.trigger_id",
        "whence.execution_id",
        "whence.outcome",
        "whence.run_time",
        "whence.ready_time",
        "whence.wait_time",
        "whence.steps",
        "thread.id",
        "code.file.path",
        "code.line.number",
        "code.function.name",
    }
)
"""What every span says; where it was created as well, in a program that created it."""

BOUNDARIES = frozenset({"Request", "Server", "SignalHandle"})
RUN_LOOPS = frozenset({"Thread", "Timer", "ExecutorJob"})
"""What a task that they trigger themselves is the main task of a loop in."""
CONTAINERS = frozenset({"Server", "Transport", "DatagramTransport", "SignalHandle"})
DEEPEST = 48
MAX_SPANS = 2000
_ROUNDING = 1e-9

EAR = """
import os

if os.environ.get("WHENCE_ATTACH"):
    import atexit, json, whence

    heard = {}

    def init(async_id, type, trigger_async_id, resource):
        heard[async_id] = (type, trigger_async_id)

    def write():
        with open(os.path.join(os.environ["EAR"], f"{os.getpid()}.json"), "w") as file:
            json.dump(heard, file)

    whence.create_hook(init=init).enable()
    atexit.register(write)
    if os.environ["LOOP"] == "uvloop":
        import asyncio, uvloop
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
"""
"""A sitecustomize that notes what a program creates, and writes it into the folder EAR.  It has the
program run on the loop that LOOP names."""


class Created(NamedTuple):
    """What the hook heard of a resource."""

    type: str
    trigger: int


def heard_in(folder: Path, pid: int) -> dict[int, Created]:
    """What was created in a process, by id."""
    heard = json.loads((folder / f"{pid}.json").read_text())
    return {int(async_id): Created(*created) for async_id, created in heard.items()}


def check_spans(spans: Sequence[SeenSpan], *, remote: Collection[str] = ()) -> None:
    """Each span in itself, and each beside its parent.

    `remote` are the ids of spans of other processes that may be parents."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans), "two spans have one id"
    for span in spans:
        _check_itself(span)
        if not span.parent_id or span.parent_id in remote:
            continue
        assert span.parent_id in by_id, f"{span} is an orphan"
        parent = by_id[span.parent_id]
        assert span.trace_id == parent.trace_id, f"{span} is in another trace than {parent}"
        assert span.start >= parent.start, f"{span} begins before {parent}"
        # Of a segment it is not known: its resource goes on.
        outlived = span.end > parent.end and parent.outcome != "open"
        if span.kind in ("INTERNAL", "PRODUCER", "CONSUMER"):
            assert (span.kind == "CONSUMER") is outlived, f"{span} of {parent} is a {span.kind}"
        if outlived:
            assert parent.kind != "INTERNAL", f"{parent} was done before {span}"
    outlived_ones = {
        span.parent_id
        for span in spans
        if span.parent_id in by_id and span.end > by_id[span.parent_id].end
    }
    sizes = Counter(span.trace_id for span in spans if span.outcome != "failed")
    assert not sizes or max(sizes.values()) <= MAX_SPANS, sizes.most_common(1)
    assert all(_depth(span, by_id) <= DEEPEST for span in spans)
    # Where something was too much for its trace, it may be that.
    full = {span.trace_id for span in spans if "whence.counted.names" in span.attributes}
    producers = {
        span.span_id for span in spans if span.kind == "PRODUCER" and span.trace_id not in full
    }
    assert producers <= outlived_ones, "a producer started nothing that outlived it"


def _check_itself(span: SeenSpan) -> None:
    assert len(span.trace_id) == 32, span
    assert len(span.span_id) == 16, span
    assert int(span.trace_id, 16), span
    assert int(span.span_id, 16), span
    assert span.scope == "whence", span
    assert span.end >= span.start, f"{span} ends before it begins"
    attributes = span.attributes
    missing = ALWAYS - attributes.keys()
    assert not missing, f"{span} does not say {missing}"
    times = [attributes[f"whence.{part}_time"] for part in ("run", "ready", "wait")]
    assert min(times) >= 0, f"{span}: {times}"
    assert sum(times) <= span.duration / 1e9 + _ROUNDING, f"{span}: {times} in {span.duration} ns"
    failed = span.outcome == "failed"
    assert span.status == ("ERROR" if failed else "UNSET"), f"{span}: {span.status}"
    raised = failed and not attributes["error.type"].isdigit()
    # Whether a step takes long depends on the machine as well.
    said = [name for name, _ in span.events if name != "whence.blocked"]
    assert said == (["exception"] if raised else []), span
    assert (span.kind == "SERVER") == (span.type == "Request"), f"{span} is a {span.kind}"
    assert (span.kind == "CLIENT") == (span.name == "connect"), f"{span} is a {span.kind}"


def check_parents(
    spans: Sequence[SeenSpan],
    heard: Mapping[int, Created],
    *,
    remote: Mapping[str, str] = {},
) -> None:
    """Each span's parent or link, against what triggered it.

    `spans` are of one process, short enough for no segments; `remote` says of roots that continue
    the span of another process, by name, which it is."""
    by_resource = {span.async_id: span for span in spans}
    assert len(by_resource) == len(spans), "a resource has two spans"
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        created = heard[span.async_id]
        assert span.type == created.type
        assert span.attributes["whence.trigger_id"] == created.trigger
        parent, link = _expected(span, *_nearest(created, heard, by_resource), by_id)
        expected_parent = parent.span_id if parent is not None else remote.get(span.name, "")
        assert span.parent_id == expected_parent, f"{span} belongs under {parent}"
        links = [by_id.get(span_id) for _, span_id, _ in span.links]
        assert links == ([] if link is None else [link]), f"{span} belongs after {link}: {links}"


def _nearest(
    created: Created, heard: Mapping[int, Created], by_resource: Mapping[int, SeenSpan]
) -> tuple[SeenSpan | None, bool]:
    """The nearest ancestor that was exported, and whether a boundary that was not lies between.

    That of a request is no other request: those of one connection are not each other's doing."""
    crossed = False
    trigger, passed = created.trigger, "Request" if created.type == "Request" else None
    while trigger in heard and (trigger not in by_resource or heard[trigger].type == passed):
        crossed = crossed or heard[trigger].type in BOUNDARIES
        trigger = heard[trigger].trigger
    return by_resource.get(trigger), crossed


def _expected(
    span: SeenSpan, ancestor: SeenSpan | None, crossed: bool, by_id: Mapping[str, SeenSpan]
) -> tuple[SeenSpan | None, SeenSpan | None]:
    """Its parent and its link."""
    if ancestor is None:
        return None, None
    roots_its_own = (
        crossed
        or span.type in BOUNDARIES
        or ancestor.type in CONTAINERS
        or (span.type == "TimerHandle" and _rearmed(span, ancestor, by_id))
        or _depth(ancestor, by_id) >= DEEPEST
    )
    return (None, ancestor) if roots_its_own else (ancestor, None)


def _rearmed(timer: SeenSpan, ancestor: SeenSpan | None, by_id: Mapping[str, SeenSpan]) -> bool:
    while ancestor is not None:
        is_own = ancestor.name == timer.name != "timer sleep"
        if ancestor.type == timer.type and (is_own or _site(ancestor) == _site(timer)):
            return True
        ancestor = by_id.get(ancestor.parent_id)
    return False


def _site(span: SeenSpan) -> tuple[object, object]:
    return span.attributes["code.file.path"], span.attributes["code.line.number"]


def _depth(span: SeenSpan, by_id: Mapping[str, SeenSpan]) -> int:
    depth = 0
    while span.parent_id in by_id:
        span, depth = by_id[span.parent_id], depth + 1
    return depth
