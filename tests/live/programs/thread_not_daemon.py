"""The main thread has ended; another waits for an order."""

import threading

stop = threading.Event()


def work() -> None:
    stop.wait()  # culprit


threading.Thread(target=work, name="worker").start()
