"""What the pipeline and an exporter say to each other; `whence.exporters` has the whole contract.

Start-up path of every attached process: imports nothing heavy.
"""

from ..entry_points import entry_points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from ..engine import SpanLifetime
    from ..settings.config import Settings

    class Exporter(Protocol):
        """Takes batches of finished lifetimes somewhere."""

        label: str

        def start(self, settings: Settings) -> None:
            """Make ready; called once."""

        def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> "Taken":
            """Take a batch there, within `timeout` seconds if there is one."""

        def stop(self, timeout: float) -> None:
            """Let go of everything, within `timeout` seconds."""


EXPORTERS = {
    "otlp": "whence.exporters.otlp.exporter:OtlpExporter",
    "console": "whence.exporters.console:ConsoleExporter",
    "file": "whence.exporters.file:FileExporter",
}
"""Name -> module and class, of those that come with whence."""

ENTRY_POINTS = "whence.exporters"
"""The group in which other distributions offer theirs."""

FOREIGN = "whence.exporters.foreign:ForeignExporter"
"""Carries the exporters that are made for OpenTelemetry's SDK."""


class Taken:
    """What became of a batch, and of those that waited for another try.

    `sent` spans arrived, `unsampled` no sampler wanted; `waiting` is how many wait now.  Whatever
    was handed over and is in none of these numbers was dropped."""

    __slots__ = ("sent", "unsampled", "waiting")

    def __init__(self, sent: int, unsampled: int = 0, waiting: int = 0) -> None:
        self.sent = sent
        self.unsampled = unsampled
        self.waiting = waiting


class ExportError(Exception):
    """A batch did not arrive.

    The text is the line that the user reads when the destination goes down: what is wrong, what
    becomes of the spans, what to do.  `taken` is what became of them all the same; `retry_after`
    for how many seconds the destination wants to be left alone, if it says so.
    """

    def __init__(
        self, text: str, taken: Taken | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.taken = taken or Taken(0)
        self.retry_after = retry_after


class SpansRejected(ExportError):
    """The destination is there, and did not want some of these spans; it gets the next ones."""


class CannotExport(Exception):
    """The exporter will never work as it was set up; the text says why, in one line."""


def load_exporter(name: str) -> "Exporter":
    """Make an exporter by its name.  Imports what it needs: for the sender thread alone.

    Beside ours there are those of other distributions, by entry point: in the group
    `whence.exporters` classes of the same kind, in `opentelemetry_traces_exporter` those made for
    OpenTelemetry's SDK.
    """
    if name in EXPORTERS:
        exporter: Exporter = load(EXPORTERS[name])()
        return exporter
    for entry_point in entry_points(ENTRY_POINTS):
        if entry_point.name == name:
            other: Exporter = entry_point.load()()
            return other
    foreign: Exporter = load(FOREIGN)(name)
    return foreign


def load(place: str) -> "Any":
    """What `module:name` stands for."""
    from importlib import import_module

    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
