"""Invoices: made by another program, as PDF files usually are."""

import asyncio
import sys

_PROGRAM = (sys.executable, "-S", "-c", "import sys; print(sys.stdin.read().upper())")


async def print_invoice(text: str) -> str:
    """The text as an invoice."""
    printer = await asyncio.create_subprocess_exec(
        *_PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await printer.communicate(text.encode())
    return printed.decode()
