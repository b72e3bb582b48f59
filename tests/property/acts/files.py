"""Readers and writers: they fire, are replaced, and are removed, in their own callback too."""

import socket
from dataclasses import dataclass

from acts.callbacks import callback
from play import Body, Place


@dataclass(frozen=True)
class WatchSocket:
    """add_reader or add_writer of a socket that is ready; removed when it fires, or before."""

    body: Body = ()
    writes: bool = False
    replace: bool = False
    remove: bool = False

    def do(self, here: Place) -> None:
        if not here.on_loop:
            here.log("is no loop")
            return
        loop, watch = here.turf.loop, here.play.watch
        add, remove = (
            (loop.add_writer, loop.remove_writer)
            if self.writes
            else (loop.add_reader, loop.remove_reader)
        )
        type = "Writer" if self.writes else "Reader"
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        there, call = callback(here, self.body, type)

        def once() -> None:
            here.log(f"removed: {remove(ours)}")
            ours.close()
            theirs.close()
            call()

        if self.replace:
            with watch.expects(here, type):
                add(ours, int)
        with watch.expects(here, type) as born:
            add(ours, once)
        there.async_id = born[0] if born else None
        if self.remove:
            here.log(f"removed: {remove(ours)}")
            here.log(f"removed: {remove(ours)}")
            ours.close()
            theirs.close()
