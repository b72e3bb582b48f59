"""Traces as trees on stderr.  Nothing ever goes to stdout, which is the program's."""

import os
import sys
from collections.abc import Sequence
from time import monotonic

from whence.engine import OPEN, SpanLifetime, Trace
from whence.report import say
from whence.sending.exporting import Taken
from whence.settings.config import Settings

from .spans import Span, SpanMaker, span_maker
from .tree import WIDTH, render, row_of_span

MOST_HELD = 10_000
"""Spans of traces that are not complete; beyond that the oldest trace is printed as it is."""


class _Tree:
    """What has come so far of a trace."""

    __slots__ = ("since", "spans")

    def __init__(self) -> None:
        self.since = monotonic()
        self.spans: list[Span] = []

    def is_complete(self, trace: Trace) -> bool:
        """Whether nothing of it is open, as far as one can know."""
        return len(self.spans) >= trace.spans and all(
            span.lifetime.outcome == OPEN or span.lifetime.children <= 0 for span in self.spans
        )


class ConsoleExporter:
    """Prints each trace when it is complete, when it has waited for long, or at the end."""

    label = "the console"

    def __init__(self) -> None:
        self._trees: dict[Trace, _Tree] = {}
        self._held = 0

    def start(self, settings: Settings) -> None:
        """Read the settings."""
        self._longest = settings.segment
        self._maker: SpanMaker = span_maker(settings)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Print what is complete."""
        spans = self._maker.spans_of(batch)
        for span in spans:
            assert span.lifetime.span is not None
            self._trees.setdefault(span.lifetime.span.trace, _Tree()).spans.append(span)
        self._held += len(spans)
        too_old = monotonic() - self._longest
        for trace, tree in list(self._trees.items()):
            if tree.is_complete(trace) or tree.since < too_old or self._held > MOST_HELD:
                self._print(trace)
        return Taken(len(spans), len(batch) - len(spans))

    def is_sampled(self, trace: Trace) -> bool:
        """Whether the sampler wants a trace."""
        return self._maker.identity_of(trace).sampled

    def stop(self, timeout: float) -> None:
        """Print what is left."""
        for trace in list(self._trees):
            self._print(trace)

    def abandon(self) -> None:
        """In a forked child."""
        self._trees.clear()

    def _print(self, trace: Trace) -> None:
        spans = self._trees.pop(trace).spans
        self._held -= len(spans)
        rows = [row_of_span(span) for span in spans]
        columns = _columns_of_terminal()
        colour = columns is not None and _wants_colour()
        say(render(rows, colour=colour, columns=columns or WIDTH) + "\n")


def _columns_of_terminal() -> int | None:
    """The width of the terminal that stderr is; None if it is none."""
    stream = sys.__stderr__
    if stream is None:
        return None
    try:
        # 0 of a terminal that does not know, as under some CI systems.
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return None


def _wants_colour() -> bool:
    """Unless NO_COLOR (https://no-color.org) or a dumb terminal says otherwise."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
