"""Traces as trees on stderr.  Nothing ever goes to stdout, which is the program's."""

import os
import sys
from collections.abc import Sequence
from time import monotonic

from whence.config import Settings
from whence.engine import OPEN, SpanLifetime, Trace
from whence.exporting import Taken
from whence.report import say

from .spans import Span, SpanMaker, span_maker
from .tree import render, row_of_span

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
        say(render([row_of_span(span) for span in spans], colour=_wants_colour()) + "\n")


def _wants_colour() -> bool:
    """On a terminal, unless NO_COLOR (https://no-color.org) or a dumb one says otherwise."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    stream = sys.__stderr__
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
