"""Programs that end themselves by a signal, as uvicorn does after SIGTERM: no exit handler runs.

Only `signal.raise_signal` is seen; who is killed from outside has no time for us.
"""

import signal
from typing import Any

from whence.attaching import end_of_process

from .patching import Patches

_DEADLY = frozenset(
    number
    for number in (getattr(signal, name, None) for name in ("SIGHUP", "SIGINT", "SIGTERM"))
    if number is not None
)


def install(patches: Patches) -> None:
    """See a signal being raised."""
    patches.wrap(signal, "raise_signal", _raise_signal)


def _raise_signal(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if args and _ends_the_process(args[0]):
        end_of_process()
    return wrapped(*args, **kwargs)


def _ends_the_process(number: Any) -> bool:
    return (
        isinstance(number, int)
        and number in _DEADLY
        and signal.getsignal(number) is signal.SIG_DFL
        and number not in _blocked()
    )


def _blocked() -> set[int]:
    mask = getattr(signal, "pthread_sigmask", None)
    return set() if mask is None else set(mask(signal.SIG_BLOCK, ()))
