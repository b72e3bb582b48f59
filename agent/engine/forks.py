"""A forked child: what the parent was executing, holding and sending is not its own."""

import os

from . import blocks, dispatch, events, execution, recorder


def restart_in_child() -> None:
    """Begin anew, at the top level of the main thread, with nothing open and nothing to send."""
    dispatch.restart_in_child()
    execution.restart_in_child()
    recorder.restart_in_child()
    events.restart_in_child()
    blocks.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=restart_in_child)
