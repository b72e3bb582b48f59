"""Runs the programs of tests/e2e under `whence run`, with a receiver for their spans."""

from collections.abc import Mapping
from pathlib import Path

from launching import Finished, Launcher
from receivers import HttpReceiver
from rules import EAR, Created, check_parents, check_spans, heard_in
from seen import SeenSpan, spans_of

PROGRAMS = Path(__file__).parent.parent / "e2e" / "programs"


class Tracing:
    """A folder, a receiver and an ear: what programs of one test share."""

    def __init__(self, launch: Launcher, receiver: HttpReceiver) -> None:
        self.launch = launch
        self.receiver = receiver
        launch.write("ear/sitecustomize.py", EAR)
        self._folder = launch.folder / "ear"

    def env(self, loop: str = "asyncio") -> dict[str, str]:
        """The variables with which a program's events are noted, and it runs on this loop: that of
        asyncio or uvloop."""
        folder = str(self._folder)
        return {"PYTHONPATH": folder, "EAR": folder, "LOOP": loop}

    def words(self, program: str, *options: str) -> list[str]:
        """The command that runs a program and sends its spans here.

        What a busy machine does to a step is no part of the traces, if `options` do not say so."""
        ours = ["--endpoint", self.receiver.url, "--slow", "60000"]
        return [*self.launch.whence, "run", *ours, *options, str(PROGRAMS / f"{program}.py")]

    def __call__(
        self, program: str, *options: str, loop: str = "asyncio", **env: str
    ) -> list[SeenSpan]:
        """Run a program to its end; its spans, which are as the rules say."""
        ran = self.launch(*self.words(program, *options), env=self.env(loop) | env)
        return self.checked(ran)

    def checked(self, ran: Finished, *, remote: Mapping[str, str] = {}) -> list[SeenSpan]:
        """The spans of a program that has ended in peace, and are as the rules say.

        `remote` says of roots that continue the span of another process, by name, which it is."""
        assert ran.code == 0, ran.err
        spans = spans_of(self.receiver.received.requests)
        pids = {span.resource["process.pid"] for span in spans}
        assert len(pids) == 1, f"spans of the processes {pids}"
        check_spans(spans, remote=remote.values())
        check_parents(spans, self.heard(pids.pop()), remote=remote)
        return spans

    def heard(self, pid: int) -> dict[int, Created]:
        """What was created in a process that has ended."""
        return heard_in(self._folder, pid)
