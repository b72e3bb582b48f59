"""A tea shop: an ordinary asyncio service, with what such services do and what goes wrong in them.

    python -m examples.shop --load 4        # or: python examples/shop --load 4

- `pages.py`: the routes; every handler waits for something else.
- `catalogue.py`: SQLite, in the threads of the loop's executor.
- `warehouses.py`: other services, all asked at once by a TaskGroup.
- `bank.py`: another service, which fails now and then.
- `invoices.py`: a program started for each invoice.
- `dispatch.py`: a worker in the background, fed by a queue.
- `prices.py`: a timer that rings again and again.
- `ledger.py`: a thread.
- `service.py`: opens the shop and closes it; `command.py`: its options.
- `customers.py`: the load, a process of its own: requests have to cross a socket, and what delays
  the shop must not delay the clock that measures it.

Four faults are in it on purpose.  Each looks harmless where it stands, and a tracer should name the
line:

1. `pages.py`: the report is typeset on the event loop, which serves nobody for 150 ms.
2. `dispatch.py`: an ordered voucher is never reported as shipped; its future is dropped, pending.
3. `bank.py`: every seventh payment fails.
4. `ledger.py`: nobody ends the thread; it is still there when the shop has closed.
"""
