"""The accounts: kept by a thread, so that keeping them never delays a customer."""

from queue import SimpleQueue
from threading import Thread


class Ledger:
    """Fault 4: nobody tells the thread to end; what it has not written down by then is lost."""

    def __init__(self) -> None:
        self.takings = 0
        """Cents."""
        self._sales: SimpleQueue[int] = SimpleQueue()

    def open(self) -> None:
        """Keep the accounts from now on."""
        Thread(target=self._keep, name="ledger", daemon=True).start()

    def note(self, cents: int) -> None:
        """Have a sale written down."""
        self._sales.put(cents)

    def _keep(self) -> None:
        while True:
            self.takings += self._sales.get()
