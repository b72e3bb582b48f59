"""Tools for tests: the events of a block, as a list; and `pytest -p whence.testing`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .hooks import create_hook

pytest_plugins = ("whence.instrumentation.pytest_plugin",)
"""What pytest loads as well if it is told `-p whence.testing`.  Not by an entry point: for each of
those pytest wants to rewrite the modules of its distribution, and warns of the ones that an
attached program has imported already, which is an error where warnings are."""

Event = tuple[Any, ...]
"""("init", async_id, type, trigger_async_id) or (name of another event, async_id)."""


class Events(list[Event]):
    """Events in the order in which they were delivered."""

    def ids(self, type: str | None = None) -> list[int]:
        """The ids of the resources created, of this type or of any."""
        return [e[1] for e in self if e[0] == "init" and type in (None, e[2])]

    def of(self, *async_ids: int) -> "Events":
        """The events of these resources only."""
        return Events(e for e in self if e[1] in async_ids)

    def names(self, async_id: int) -> list[str]:
        """The names of one resource's events, in order."""
        return [e[0] for e in self.of(async_id)]

    def type_of(self, async_id: int) -> str:
        """The type that its init gave; KeyError if there was none."""
        return str(self._init(async_id)[2])

    def trigger_of(self, async_id: int) -> int:
        """The trigger id that its init gave; KeyError if there was none."""
        return int(self._init(async_id)[3])

    def chain(self, async_id: int) -> list[int]:
        """The id and those that led to it, by triggers, as far as their inits are here.

        A trigger may be any number, even one that leads round in a circle: it goes round once."""
        found = [async_id]
        triggers = {e[1]: e[3] for e in self if e[0] == "init"}
        while found[-1] in triggers and triggers[found[-1]] not in found:
            found.append(triggers[found[-1]])
        return found

    def _init(self, async_id: int) -> Event:
        for event in self:
            if event[0] == "init" and event[1] == async_id:
                return event
        raise KeyError(f"no init of {async_id} among {len(self)} events")


@contextmanager
def record() -> Iterator[Events]:
    """Every event of the block, in all threads, in one list.

    Keeps ids and names, no resource, so that what is dropped can be collected::

        with record() as events:
            asyncio.run(main())
        assert events.names(events.ids("Task")[0]) == ["init", "before", ...]
    """
    events = Events()

    def init(async_id: int, type: str, trigger_async_id: int, resource: object) -> None:
        events.append(("init", async_id, type, trigger_async_id))

    hook = create_hook(
        init=init,
        before=lambda async_id: events.append(("before", async_id)),
        after=lambda async_id: events.append(("after", async_id)),
        destroy=lambda async_id: events.append(("destroy", async_id)),
        promise_resolve=lambda async_id: events.append(("promise_resolve", async_id)),
    )
    with hook:
        yield events
