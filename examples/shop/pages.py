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
from .warehouses import ask_all


class Pages:
    """The shop as its customers see it."""

    def __init__(self, catalogue: Catalogue, bank: Bank, dispatch: Dispatch) -> None:
        self._catalogue = catalogue
        self._bank = bank
        self._dispatch = dispatch
        self._numbers = count(1)
        self._status: dict[int, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Where everything is."""
        return [
            web.get("/search", self.search),
            web.get(r"/items/{id:\d+}", self.item),
            web.post("/checkout", self.checkout),
            web.get(r"/invoices/{order:\d+}", self.invoice),
            web.get("/report", self.report),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """`?q=` - the items with these words in their name, and where they are in stock."""
        items = await asyncio.to_thread(self._catalogue.search, request.query.get("q", ""))
        stock = await ask_all(items)
        return web.json_response({"items": [item._asdict() for item in items], "stock": stock})

    async def item(self, request: web.Request) -> web.Response:
        """One item."""
        item = await self._find(request.match_info["id"])
        return web.json_response(item._asdict())

    async def checkout(self, request: web.Request) -> web.Response:
        """`{"item": id}` - buy it: it is taken off the shelf while the bank is asked."""
        item = await self._find((await request.json())["item"])
        is_paid = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._bank.charge(item.price))
                group.create_task(asyncio.to_thread(self._catalogue.sell, item.id))
        except* BankUnreachable:
            is_paid = False
        if not is_paid:
            raise web.HTTPBadGateway(text="The bank does not answer, please try again.")
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
        return web.Response(text=_typeset(sales))

    def _note_shipped(self, number: int, shipped: asyncio.Future[str]) -> None:
        self._status[number] = shipped.result()

    async def _find(self, id: str) -> Item:
        item = await asyncio.to_thread(self._catalogue.item, int(id))
        if item is None:
            raise web.HTTPNotFound(text=f"There is no item {id}.")
        return item


def _typeset(sales: list[tuple[str, int]]) -> str:
    # Fault 1: it is called on the event loop, which serves nobody meanwhile.  (It sleeps so that
    # it takes the same time everywhere; whether it computes or sleeps is all the same to the loop.)
    time.sleep(0.150)
    return "\n".join(f"{name:30}{sold:>6}" for name, sold in sales)
