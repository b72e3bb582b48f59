"""Prices: they follow a market that nobody understands, twice a second."""

import asyncio
from itertools import cycle

from .catalogue import Catalogue

PERIOD = 0.5
"""Seconds."""


class Market:
    """Changes the prices in the catalogue while it is open."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._moves = cycle((3, -2, 5, -6))
        self._bell: asyncio.TimerHandle | None = None
        self._change: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Change the prices after each period."""
        self._bell = asyncio.get_running_loop().call_later(PERIOD, self._ring)

    async def close(self) -> None:
        """Change them no more."""
        if self._bell is not None:
            self._bell.cancel()
        if self._change is not None:
            await self._change

    def _ring(self) -> None:
        self._change = asyncio.create_task(self._change_prices(next(self._moves)))
        self.open()

    async def _change_prices(self, percent: int) -> None:
        await asyncio.to_thread(self._catalogue.reprice, percent)
