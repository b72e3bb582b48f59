"""Orders on their way out of the house: one worker in the background, fed by a queue."""

import asyncio

from .catalogue import VOUCHER, Item


class Order:
    """A paid order; `shipped` is done when the parcel has left, and says how."""

    def __init__(self, number: int, item: Item) -> None:
        self.number = number
        self.item = item
        self.shipped: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class Dispatch:
    """Packs what was ordered, in the order in which it came in."""

    def __init__(self) -> None:
        self._orders: asyncio.Queue[Order] = asyncio.Queue()

    def accept(self, order: Order) -> None:
        """Put an order at the end of the queue."""
        self._orders.put_nowait(order)

    async def pack_orders(self) -> None:
        """Pack and ship, until cancelled."""
        while True:
            order = await self._orders.get()
            if order.item.name == VOUCHER:
                # Fault 2: there is nothing to pack, but somebody waits to hear that it is shipped.
                continue
            await asyncio.sleep(0.010)
            order.shipped.set_result(f"parcel {order.number}")
