"""A `threading.Timer` that nobody cancels."""

import threading


def remind() -> None:
    print("now")


threading.Timer(3600, remind).start()  # culprit
