"""What every AsyncLocalStorage should hold, worked out without contextvars: SEMANTICS 10.

A piece of the program has Stores; what it starts begins with a copy of them, as they were when it
was scheduled or registered.
"""

Generations = list[int]
"""How many times each storage has been disabled: what was put in before counts no more."""

STORAGES = 2
DEFAULTS = (None, "default")


class Stores:
    """What the storages hold in one place."""

    def __init__(
        self, generations: Generations, held: dict[int, tuple[int, str | None]] | None = None
    ) -> None:
        self._generations = generations
        self._held = {} if held is None else held

    def copy(self) -> "Stores":
        """For what is started here."""
        return Stores(self._generations, dict(self._held))

    def empty(self) -> "Stores":
        """For what is started here, and begins without any: a thread (10.12)."""
        return Stores(self._generations)

    def put(self, storage: int, store: str | None) -> "Stores":
        """run, exit or enter_with: a store, or None; gives these stores."""
        self._held[storage] = (self._generations[storage], store)
        return self

    def held(self, storage: int) -> str | None:
        """What get_store() is to give."""
        generation, store = self._held.get(storage, (-1, None))
        return store if generation == self._generations[storage] else DEFAULTS[storage]
