"""Another service: it takes the customers' money, most of the time."""

import asyncio


class BankUnreachable(Exception):
    """The bank did not answer."""


class Bank:
    """Fault 3: every seventh payment fails."""

    def __init__(self) -> None:
        self._payments = 0

    async def charge(self, cents: int) -> None:
        """Take so much; raises BankUnreachable."""
        self._payments += 1
        is_seventh = self._payments % 7 == 0
        await asyncio.sleep(0.015)
        if is_seventh:
            raise BankUnreachable(f"no answer to a payment of {cents / 100:.2f}")
