"""Prices: they change with a market that nobody understands, twice a second."""

import asyncio
from itertools import cycle

from .catalogue import Catalogue

PERIOD = 0.5
"""Seconds."""


class Market:
    """Fault 4: nobody stops it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._moves = cycle((3, -2, 5, -6))
        self._change: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Change the prices from now on."""
        asyncio.get_running_loop().call_later(PERIOD, self.ring)

    def ring(self) -> None:
        """Change the prices once, and again after the period."""
        self._change = asyncio.create_task(self.change_prices(next(self._moves)))
        self.open()

    async def change_prices(self, percent: int) -> None:
        """Raise or lower all prices."""
        await asyncio.to_thread(self._catalogue.reprice, percent)
