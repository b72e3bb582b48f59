"""Events in any order, with hooks that raise, re-enter, enable, disable, collect, drain and fork.

Whatever they do, each thread is where it was afterwards, and what has gone has left nothing.

WHENCE_FUZZ_STEPS is how long each goes on; WHENCE_FUZZ_RUNS is how many there are beside those that
are always the same, and WHENCE_FUZZ_SEED has the same ones tried again.  WHENCE_FUZZ_FORKS=0 is for
AddressSanitizer, whose allocator may be locked for ever in the child of a process with threads.
"""

import gc
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import whence
from telling import policy
from whence.engine import (
    CANCELLED,
    COLLECTED,
    DONE,
    FAILED,
    SpanLifetime,
    Token,
    at_next_event,
    blocks,
    collected,
    conclude,
    create,
    describe,
    drain_collected,
    end,
    end_span,
    enter,
    failed,
    hide,
    leave,
    local,
    look_for_user_spans,
    make_root,
    open_lifetimes,
    recorder,
    ring,
    standing_for,
    twin,
)
from whence.engine.execution import MAIN
from whence.engine.resource_types import (
    EXECUTOR_JOB,
    FUTURE,
    HANDLE,
    READER,
    REQUEST,
    SERVER,
    TASK,
    TIMER_HANDLE,
    TRANSPORT,
)
from whence.engine.selected import select

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

ROWS = (TASK, FUTURE, HANDLE, TIMER_HANDLE, READER, SERVER, TRANSPORT, EXECUTOR_JOB, REQUEST)
EVENTS = ("init", "before", "after", "destroy", "promise_resolve")
DEEPEST = 8

STEPS = int(os.environ.get("WHENCE_FUZZ_STEPS", "400"))
RUNS = int(os.environ.get("WHENCE_FUZZ_RUNS", "1"))
FORKS = os.environ.get("WHENCE_FUZZ_FORKS") != "0" and hasattr(os, "fork")
SEED = int(os.environ.get("WHENCE_FUZZ_SEED", random.getrandbits(32)))


class OnPurpose(Exception):
    """What hooks and programs raise here."""


class Fuzz:
    """Does one thing after the other, chosen by a seed."""

    def __init__(self, seed: int, *, alone: bool = False) -> None:
        self.choice = random.Random(seed)
        self.lives: list[Any] = []
        self.depth = 0
        self.forked = 0
        self.hooks = [whence.create_hook({e: self.callback() for e in EVENTS}) for _ in range(3)]
        self.actions: list[Callable[[], object]] = [
            *([self.begin] * 6),
            *([self.run] * 4),
            *([self.end] * 4),
            self.drop,
            self.touch,
            self.drain,
            self.ask,
            self.toggle_hook,
            self.toggle_recorder,
            self.look_at_all,
        ]
        if not alone:
            self.actions += [self.collect, self.in_thread, *([self.fork] if FORKS else [])]

    def callback(self) -> Callable[..., None]:
        def called(*_: object) -> None:
            if self.depth < DEEPEST and self.choice.random() < 0.3:
                self.act()
            if self.choice.random() < 0.05:
                raise OnPurpose

        return called

    def act(self) -> None:
        self.depth += 1
        try:
            self.choice.choice(self.actions)()
        finally:
            self.depth -= 1

    def one(self) -> Any:
        return self.choice.choice(self.lives) if self.lives else MAIN

    def begin(self) -> None:
        row = self.choice.choice(ROWS)
        resource = [self]
        self.lives.append(create(local.state, row, resource, self.one(), 1))

    def run(self) -> None:
        lifetime = self.one()
        if lifetime is MAIN:
            return
        state = local.state
        previous = state.current
        try:
            enter(state, lifetime, self)
            if self.depth < DEEPEST:
                for _ in range(self.choice.randrange(4)):
                    self.act()
            if self.choice.random() < 0.2:
                raise OnPurpose
        except OnPurpose as error:
            failed(lifetime, error)
        finally:
            leave(state, lifetime, previous)
            assert state.current is previous

    def end(self) -> None:
        if self.lives:
            lifetime = self.lives.pop(self.choice.randrange(len(self.lives)))
            end(local.state, lifetime, self.choice.choice((DONE, FAILED, CANCELLED, COLLECTED)))

    def drop(self) -> None:
        if self.lives:
            Token(self.lives.pop(self.choice.randrange(len(self.lives))))

    def touch(self) -> None:
        lifetime = self.one()
        if not isinstance(lifetime, SpanLifetime) or lifetime is MAIN:
            return
        does: tuple[Callable[[Any], object], ...] = (
            hide,
            conclude,
            end_span,
            make_root,
            standing_for,
            lambda one: describe(one, "name", size=1),
            lambda one: setattr(one, "keep", True),
        )
        self.choice.choice(does)(lifetime)

    def drain(self) -> None:
        drain_collected(local.state)
        ring.drain(100)

    def ask(self) -> None:
        if self.depth < DEEPEST:
            at_next_event(self.act)

    def toggle_hook(self) -> None:
        hook = self.choice.choice(self.hooks)
        self.choice.choice((hook.enable, hook.disable))()

    def toggle_recorder(self) -> None:
        recorder.on = self.choice.random() < 0.8
        recorder.sites = self.choice.random() < 0.8
        recorder.sends = self.choice.random() < 0.8
        recorder.min_duration = self.choice.choice((0, 1_000_000))
        recorder.find_slow(self.choice.choice((0, 100, 100_000_000)))
        select(self.choice.choice((None, lambda one: one.type is not TASK)))
        look_for_user_spans(self.choice.choice((None, lambda one: None)))

    def look_at_all(self) -> None:
        ids = [one.async_id for one in open_lifetimes.values()]
        assert ids == sorted(ids)
        assert len(open_lifetimes) == len(ids)
        if ids:
            assert self.choice.choice(ids) in open_lifetimes
        if self.choice.random() < 0.1:
            open_lifetimes.clear()

    def collect(self) -> None:
        gc.collect(self.choice.randrange(2))

    def in_thread(self) -> None:
        if self.depth < 3:
            thread = threading.Thread(target=self.act)
            thread.start()
            thread.join()

    def fork(self) -> None:
        if self.forked > 3:
            return
        self.forked += 1
        pid = os.fork()
        if pid == 0:
            try:
                self.act()
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert status == 0

    def over(self) -> None:
        """Leave everything as it was."""
        for hook in self.hooks:
            hook.disable()
        for lifetime in self.lives:
            end(local.state, lifetime)
        self.lives.clear()
        self.depth = DEEPEST
        drain_collected(local.state)
        collected.clear()
        ring.clear()
        open_lifetimes.clear()
        blocks.blocks.clear()


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    before = {name: getattr(recorder, name) for name in recorder.__slots__}
    with policy("log"):
        yield
    select(None)
    look_for_user_spans(None)
    for name, value in before.items():
        setattr(recorder, name, value)


def fuzz(seed: int, steps: int, *, alone: bool = False) -> None:
    fuzzed = Fuzz(seed, alone=alone)
    state = local.state
    current = state.current
    recorder.on = True
    try:
        for _ in range(steps):
            fuzzed.act()
            assert state.depth == 0
            assert state.current is current
    finally:
        fuzzed.over()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(12))
def test_each_thread_is_where_it_was_afterwards(
    seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    fuzz(seed, STEPS)
    assert len(collected) == 0
    assert STEPS < 400 or "OnPurpose" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("run", range(RUNS))
def test_with_other_events_at_every_run_it_is_as_well(run: int) -> None:
    print(f"the same events again: WHENCE_FUZZ_SEED={SEED + run}")
    fuzz(SEED + run, STEPS)
    assert len(collected) == 0


def test_what_has_gone_has_left_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same again and again takes no more memory than once."""
    held = []
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        # Pytest's would hold what is written.
        monkeypatch.setattr(sys, "stderr", nowhere)
        for _ in range(8):
            fuzz(99, min(STEPS, 300), alone=True)
            gc.collect()
            held.append(sys.getallocatedblocks())
    settled = held[4:]
    assert max(settled) - min(settled) < 200, held


def test_a_lifetime_is_freed_with_the_last_that_knows_it() -> None:
    gone: list[str] = []

    class Telling:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            gone.append(self.name)

    recorder.on = True
    state = local.state
    previous = state.current
    lifetime: Any = create(state, TASK, None, MAIN)
    lifetime.attributes = {"kept": Telling("attribute")}
    child: Any = create(state, TASK, None, lifetime)
    enter(state, lifetime, Telling("resource"))
    leave(state, lifetime, previous)
    assert gone == ["resource"]
    end(state, lifetime)
    ring.clear()
    del lifetime
    assert gone == ["resource"], "its child still stands under it"
    end(state, child)
    ring.clear()
    del child
    assert gone == ["resource", "attribute"]
