"""What gRPC finds when it asks for the current thread, while a call of ours waits for its answer.

For a thread that `threading` did not start, that makes up a dummy and lists it, for as long as the
call takes: the program would find it among its own.  gRPC only asks whether it is the main thread;
for ours the answer is no.
"""

import threading
from typing import Any

from grpc._cython import cygrpc

from whence.engine import local


class _Threading:
    """The module, as far as gRPC can tell."""

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def current_thread(self) -> threading.Thread | None:
        """The thread; None for one of ours."""
        return None if local.state.muted else threading.current_thread()


def stay_unlisted() -> None:
    """Have gRPC ask here.  A gRPC that keeps the module elsewhere lists a dummy during calls."""
    if getattr(cygrpc, "threading", None) is threading:
        cygrpc.threading = _Threading()
