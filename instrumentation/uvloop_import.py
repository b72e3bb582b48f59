"""uvloop keeps what asyncio's names stand for when it is imported: that is to be asyncio's own.

Else it would go on making our futures and calling our functions when the last hook is gone.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from whence.deferral import while_importing

from .patching import Patches


def install(patches: Patches) -> None:
    """See uvloop being imported."""
    while_importing("uvloop", _show_stock)


def _show_stock() -> Callable[[], None]:
    """Have asyncio show its own objects; what this gives shows ours again."""
    shown: dict[str, tuple[Any, Any]] = {}
    for name, ours in list(vars(asyncio).items()):
        attributes = getattr(ours, "__dict__", {})
        stock = attributes.get("_stands_for") or attributes.get("_whence_original")
        if stock is not None:
            shown[name] = stock, ours
            setattr(asyncio, name, stock)

    def show_ours() -> None:
        for name, (stock, ours) in shown.items():
            if getattr(asyncio, name) is stock:
                setattr(asyncio, name, ours)

    return show_ours
