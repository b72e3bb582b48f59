"""Fixtures of the conformance tests: the contract, by the public API alone.

Hook callbacks below never raise.
"""

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest

import whence

HERE = os.path.dirname(os.path.abspath(__file__))


class Recorder:
    """A hook that writes every event down as a tuple, in order.

    ("init", id, type, trigger) and (name, id) for the four other events.
    Resources are not kept unless keep=True, so that they can be collected.
    """

    def __init__(self, keep=False):
        self.events = []
        self.resources = {}
        self.keep = keep
        self.hook = whence.create_hook(
            init=self._init,
            before=self._mk("before"),
            after=self._mk("after"),
            destroy=self._mk("destroy"),
            promise_resolve=self._mk("promise_resolve"),
        )

    def _init(self, async_id, type, trigger_async_id, resource):
        self.events.append(("init", async_id, type, trigger_async_id))
        if self.keep:
            self.resources[async_id] = resource

    def _mk(self, name):
        def callback(async_id):
            self.events.append((name, async_id))

        return callback

    # -- queries ---------------------------------------------------------
    def mark(self):
        return len(self.events)

    def inits(self, type=None, since=0):
        return [e for e in self.events[since:] if e[0] == "init" and (type is None or e[2] == type)]

    def ids(self, type=None, since=0):
        return [e[1] for e in self.inits(type, since)]

    def one(self, type, since=0):
        found = self.ids(type, since)
        assert len(found) == 1, f"expected one {type}, got {found!r}"
        return found[0]

    def type_of(self, async_id):
        return next(e[2] for e in self.inits() if e[1] == async_id)

    def trigger_of(self, async_id):
        return next(e[3] for e in self.inits() if e[1] == async_id)

    def names(self, async_id):
        """The names of the events of one resource, in order."""
        return [e[0] for e in self.events if e[1] == async_id]

    def seq(self, *ids):
        """(name, id) of the events of these resources, in order."""
        return [(e[0], e[1]) for e in self.events if e[1] in ids]

    def count(self, name, async_id):
        return self.names(async_id).count(name)

    def chain(self, async_id):
        """async_id and the ids that led to it, following trigger ids."""
        triggers = {e[1]: e[3] for e in self.inits()}
        out = [async_id]
        while out[-1] in triggers and triggers[out[-1]] not in out:
            out.append(triggers[out[-1]])
        return out


@pytest.fixture
def make_recorder():
    made = []

    def make(enable=True, keep=False):
        r = Recorder(keep)
        made.append(r)
        if enable:
            r.hook.enable()
        return r

    try:
        yield make
    finally:
        for r in made:
            r.hook.disable()
            r.resources.clear()


@pytest.fixture
def rec(make_recorder):
    """An enabled recorder."""
    return make_recorder()


@pytest.fixture
def hooks():
    """create_hook() whose hooks are disabled at the end of the test."""
    made = []

    def make(*args, **kwargs):
        h = whence.create_hook(*args, **kwargs)
        made.append(h)
        return h

    try:
        yield make
    finally:
        for h in made:
            h.disable()


def _asyncio_loop():
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.SelectorEventLoop()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request):
    if request.param == "asyncio":
        return _asyncio_loop
    uvloop = pytest.importorskip("uvloop")
    return uvloop.new_event_loop


@pytest.fixture
def stock_loop():
    return _asyncio_loop


def _drive(factory, main):
    loop = factory()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main())
    finally:
        try:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@pytest.fixture
def drive():
    """drive(factory, coroutine_function): run it to the end on a new loop."""
    return _drive


@pytest.fixture
def pump():
    """await pump(): let a few turns of the loop pass (sleep(0) creates no resource)."""

    async def pump(turns=6):
        for _ in range(turns):
            await asyncio.sleep(0)

    return pump


@pytest.fixture
def until():
    """await until(predicate): turns of the loop, for five seconds at most."""

    async def until(predicate):
        loop = asyncio.get_running_loop()
        end = loop.time() + 5.0
        while not predicate():
            assert loop.time() < end, "condition not reached in time"
            await asyncio.sleep(0.002)

    return until


class Child:
    def __init__(self, p):
        self.rc, self.out, self.err = p.returncode, p.stdout, p.stderr


@pytest.fixture
def child():
    """child(source): run source in a fresh interpreter with whence importable."""

    def run(source, timeout=30):
        env = dict(os.environ)
        env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        p = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Child(p)

    return run
