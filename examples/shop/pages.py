"""What the shop answers: a handler for each route."""

import asyncio
import time
from functools import partial
from itertools import count

from aiohttp import web

from .bank import Bank, BankUnreachable
from .catalogue import Catalogue, Item
from .dispatch import Dispatch, Order
from .invoices import print_invoice
from .ledger import Ledger
from .warehouses import ask_all


class Pages:
    """The shop as its customers see it."""

    def __init__(
        self, catalogue: Catalogue, bank: Bank, dispatch: Dispatch, ledger: Ledger
    ) -> None:
        self._catalogue = catalogue
        self._bank = bank
        self._dispatch = dispatch
        self._ledger = ledger
        self._numbers = count(1)
        self._status: dict[int, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Where everything is."""
        return [
            web.get("/search", self.search),
            web.get(r"/items/{id:\d{1,9}}", self.item),
            web.post("/checkout", self.checkout),
            web.get(r"/invoices/{order:\d{1,9}}", self.invoice),
            web.get("/report", self.report),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """`?q=` - the items with these words in their name, and where they are in stock."""
        items = await asyncio.to_thread(self._catalogue.search, request.query.get("q", ""))
        stock = await ask_all(items)
        return web.json_response({"items": [item._asdict() for item in items], "stock": stock})

    async def item(self, request: web.Request) -> web.Response:
        """One item."""
        item = await self._find(int(request.match_info["id"]))
        return web.json_response(item._asdict())

    async def checkout(self, request: web.Request) -> web.Response:
        """`{"item": id}` - buy it: it is taken off the shelf while the bank is asked."""
        item = await self._find(await _ordered(request))
        is_paid = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._bank.charge(item.price))
                group.create_task(asyncio.to_thread(self._catalogue.sell, item.id))
        except* BankUnreachable:
            is_paid = False
        if not is_paid:
            raise web.HTTPBadGateway(text="The bank does not answer, please try again.")
        self._ledger.note(item.price)
        order = Order(next(self._numbers), item)
        self._status[order.number] = "paid"
        order.shipped.add_done_callback(partial(self._note_shipped, order.number))
        self._dispatch.accept(order)
        return web.json_response({"order": order.number})

    async def invoice(self, request: web.Request) -> web.Response:
        """The invoice of an order."""
        number = int(request.match_info["order"])
        if number not in self._status:
            raise web.HTTPNotFound(text=f"There is no order {number}.")
        return web.Response(text=await print_invoice(f"order {number}: {self._status[number]}"))

    async def report(self, request: web.Request) -> web.Response:
        """What was sold, for the manager."""
        sales = await asyncio.to_thread(self._catalogue.sales)
        return web.Response(text=_typeset(sales, self._ledger.takings))

    def _note_shipped(self, number: int, shipped: asyncio.Future[str]) -> None:
        self._status[number] = shipped.result()

    async def _find(self, id: int) -> Item:
        item = await asyncio.to_thread(self._catalogue.item, id)
        if item is None:
            raise web.HTTPNotFound(text=f"There is no item {id}.")
        return item


async def _ordered(request: web.Request) -> int:
    try:
        match await request.json():
            case {"item": int(id)} if 0 < id < 10**9:
                return id
    except ValueError:
        pass
    raise web.HTTPBadRequest(text='Expected {"item": number}.')


def _typeset(sales: list[tuple[str, int]], takings: int) -> str:
    # Fault 1: it is called on the event loop, which serves nobody meanwhile.  (It sleeps so that
    # it takes the same time everywhere; whether it computes or sleeps is all the same to the loop.)
    time.sleep(0.150)
    lines = [f"{name:30}{sold:>10}" for name, sold in sales]
    return "\n".join([*lines, f"{'Takings':30}{takings / 100:>10.2f}"])
