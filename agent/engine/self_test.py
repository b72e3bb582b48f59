"""Whether the engine in C does what it was built for: one life, lived before all others.

It reads what Python's structures say of clocks, frames and threads; where those are not as they
were when it was built, what it says of this life is wrong.  What needs asyncio is looked at when
the program has imported that (`asyncio_self_test.py`).

Start-up path: it takes some 100 µs, and leaves nothing behind.
"""

from types import CodeType
from typing import Any

from . import twin
from .dispatch import listeners
from .events import create, end, enter, leave, resolve
from .execution import execution_async_id, local, new_async_id
from .lifetimes import CLOSED
from .recorder import clock, open_lifetimes, recorder
from .resource_types import ResourceType
from .ring import ring

PROGRAM = "def make(create, *life):\n    return create(*life)\n"
"""A program's own code: that of whence is in no site."""
MADE_IN_LINE = 2


def failure() -> str:
    """What is wrong, on one line; nothing if nothing is."""
    try:
        return _judge(_Life())
    except Exception as error:
        return f"its self-test fails ({type(error).__name__}: {error})"


class _Life:
    """One resource, from its init to its destroy, and what was told of it."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.row = ResourceType("self-test", 0)
        self.state = local.state
        self.trigger = self.state.current
        before = (recorder.on, recorder.sends, recorder.sites)
        recorder.on, recorder.sends, recorder.sites = True, False, True
        first = new_async_id()
        self._listen(True)
        try:
            self._live()
        finally:
            self._listen(False)
            recorder.on, recorder.sends, recorder.sites = before
            twin.return_async_ids(first, new_async_id())

    def _listen(self, on: bool) -> None:
        for event in ("init", "before", "after", "promise_resolve", "destroy"):
            hear = (lambda *what, event=event: self.told.append((event, *what))) if on else None
            setattr(listeners, event, hear)

    def _live(self) -> None:
        names: dict[str, Any] = {}
        exec(compile(PROGRAM, "program.py", "exec"), names)
        make = names["make"]
        self.code: CodeType = make.__code__
        self.began = clock()
        self.lifetime: Any = make(create, self.state, self.row, self, self.trigger)
        self.listed = self.lifetime.async_id in open_lifetimes
        enter(self.state, self.lifetime, self)
        self.executed = execution_async_id()
        leave(self.state, self.lifetime, self.trigger)
        resolve(self.state, self.lifetime)
        end(self.state, self.lifetime, CLOSED)
        self.ended = clock()


def _judge(life: _Life) -> str:
    lifetime = life.lifetime
    number, trigger = lifetime.async_id, life.trigger.async_id
    told = [("init", number, "self-test", trigger, life)]
    told += [(event, number) for event in ("before", "after", "promise_resolve", "destroy")]  # type: ignore[misc]
    line = next((n for a, b, n in life.code.co_lines() if a <= lifetime.lasti < b), None)
    checks = {
        "hooks hear other events": life.told == told,
        "the site of a resource is another": (lifetime.code, line) == (life.code, MADE_IN_LINE),
        "another resource executes": life.executed == number and life.state.current is life.trigger,
        "its times are in no order": life.began <= lifetime.created <= lifetime.ended <= life.ended,
        "its steps are other ones": (lifetime.steps, lifetime.run >= 0) == (1, True),
        "its outcome is another": lifetime.outcome == CLOSED and not lifetime.open,
        "what is open is not listed": life.listed
        and number not in open_lifetimes
        and not len(ring),
    }
    wrong = [what for what, holds in checks.items() if not holds]
    return f"its self-test fails ({', '.join(wrong)})" if wrong else ""
