"""Whose classes the handles of asyncio's own loops are: ours, or asyncio's.

Ours stand in for asyncio's under their names (`handles.py`), and are fast.  They are other classes
all the same: `type(handle) is asyncio.Handle` is false.  WHENCE_HANDLES=stock keeps asyncio's, of
which some methods are replaced then (`stock_handles.py`), for the life of the process.  They are
kept as well where ours in C turn out not to fit this Python's asyncio (`asyncio_self_test.py`).

Start-up path: imports nothing, asyncio above all.
"""

import os

from . import twin

VARIABLE = "WHENCE_HANDLES"
TRACKED, STOCK = "tracked", "stock"

asked_for = os.environ.get(VARIABLE, "").strip()

keeps_stock = asked_for == STOCK
"""Whether asyncio's classes stay."""


proven = False
"""Whether what the engine in C makes of asyncio has been tried in this process."""


def complaint() -> str:
    """What to say to somebody who asked for what there is not, on one line; or nothing."""
    if asked_for in ("", TRACKED, STOCK):
        return ""
    return f"{VARIABLE}: expected {TRACKED} or {STOCK}, not {asked_for!r}; {TRACKED} is used"


def keep_stock(why: str) -> None:
    """Keep asyncio's after all: ours do not fit, and `why` says so on one line."""
    global keeps_stock
    keeps_stock = True
    twin.slower["handles are of asyncio's own classes"] = why
