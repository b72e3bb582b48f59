"""Ids, and who a trace is."""

import os
import random
import sys

import pytest

from configured import settings
from launching import Launcher
from lives import Lives
from whence.exporters import identity
from whence.exporters.identity import SpanIds
from whence.exporters.spans import SpanMaker


def test_no_two_spans_of_a_process_have_the_same_id() -> None:
    ids = SpanIds()
    made = {ids.of(async_id, segment) for async_id in range(2, 5000) for segment in range(20)}
    assert len(made) == 4998 * 20
    assert all(0 < span_id < 2**64 for span_id in made)


def test_the_ids_of_a_span_are_always_the_same() -> None:
    ids = SpanIds()
    assert ids.of(7, 1) == ids.of(7, 1)


def test_two_processes_have_different_ids() -> None:
    assert SpanIds().of(7, 0) != SpanIds().of(7, 0)


def test_the_one_input_that_would_be_0_is_not() -> None:
    """0 is no valid id."""
    ids = SpanIds()
    ids.low[5] = ids.high[0]
    assert ids.raw(5, 0) == 1
    assert ids.of(5, 0) == 1 << 56


def test_ids_stay_the_same_beyond_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_MAX_KNOWN", 4)
    ids = SpanIds()
    before = [ids.of(async_id, 0) for async_id in range(0, 50_000, 5000)]
    assert [ids.of(async_id, 0) for async_id in range(0, 50_000, 5000)] == before
    assert len(ids.high) <= 4


def test_ids_look_random_to_a_sampler_by_ratio() -> None:
    """Their bits are mixed: neighbours differ in about half of them."""
    ids = SpanIds(1)
    differing = [(ids.of(n, 0) ^ ids.of(n + 1, 0)).bit_count() for n in range(1000)]
    assert 30 < sum(differing) / len(differing) < 34


def test_the_programs_random_numbers_are_left_alone(lives: Lives) -> None:
    """A program that seeds `random` counts on its sequence."""
    random.seed(42)
    expected = [random.random() for _ in range(5)]
    random.seed(42)
    maker = SpanMaker(settings())
    got = []
    for _ in range(5):
        lives.live(2, "main")
        maker.spans_of(lives.come_out())
        got.append(random.random())
    assert got == expected


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_has_ids_of_its_own(launch: Launcher) -> None:
    launch.write(
        "app.py",
        """
        import json, os, sys
        sys.path.insert(0, sys.argv[1])
        from configured import settings
        from whence.engine import create, end, local, recorder, ring, Tracer, resource_types
        from whence.engine.resource_types import TASK
        from whence.exporters.spans import span_maker

        recorder.on, recorder.min_duration = True, 0
        chosen, tracer = settings(), Tracer()

        def ids():
            lifetime = create(local.state, TASK, object(), local.state.current)
            end(local.state, lifetime)
            batch = ring.drain(10)
            assert [tracer.place(lifetime) for lifetime in batch] == [True]
            (span,) = span_maker(chosen).spans_of(batch)
            resource = span_maker(chosen).resource.attributes
            return [
                lifetime.async_id, span.context.span_id, span.context.trace_id,
                resource["service.instance.id"], resource["process.pid"] == os.getpid(),
            ]

        ids()
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, json.dumps(ids()).encode())
            os._exit(0)
        mine = ids()
        os.wait()
        print(json.dumps([mine, json.loads(os.read(read, 10000))]))
        """,
    )
    support = os.path.join(os.path.dirname(os.path.dirname(__file__)), "support")
    parent, child = launch(launch.python, "app.py", support).json
    assert parent[0] == child[0], "the async ids go on from the same number in both"
    assert [parent[n] == child[n] for n in (1, 2, 3)] == [False] * 3
    assert parent[4] is child[4] is True


def test_a_sampler_that_keeps_all_says_so_without_being_asked(lives: Lives) -> None:
    maker = SpanMaker(settings())
    found = []
    for keeps_all in (True, False):
        lives.live(2, "main")
        maker.refresh()
        assert maker._provider.keeps_all
        maker._provider.keeps_all = keeps_all
        (root,) = lives.come_out()
        assert root.span is not None
        found.append(maker.identity_of(root.span.trace))
    short, long = found
    assert short.sampled
    assert long.sampled
    assert (short.flags, short.state, short.attributes, short.remote_parent) == (
        long.flags,
        long.state,
        long.attributes,
        long.remote_parent,
    )
