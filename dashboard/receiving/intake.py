"""From bytes to what is kept, for both protocols: decode, hand in, wait, answer."""

from concurrent.futures import Future
from typing import Any

from ..storing.writer import POINTS, SPANS, Writer
from .decoding import LOGS, METRICS, TRACES, Signal

_KINDS = {TRACES: SPANS, METRICS: POINTS}
_WHY = {
    TRACES: "a trace id of 16 bytes and a span id of 8, neither of them zero",
    METRICS: "finite numbers, at most 1,000 buckets, 2,000 characters of attributes, 50,000 series",
}


class Intake:
    """What receivers hand requests to."""

    def __init__(self, writer: Writer) -> None:
        self.refused = 0
        """Requests that were not taken."""
        self._writer = writer

    def hand_in(self, signal: Signal, message: Any, size: int) -> "Future[int]":
        """As the writer's.  Raises Busy."""
        if signal is LOGS:
            nothing: Future[int] = Future()
            nothing.set_result(0)
            return nothing
        return self._writer.hand_in(_KINDS[signal], message, size)

    def answer(self, signal: Signal, rejected: int) -> Any:
        """What a sender is told whose request is kept, but for `rejected` of it."""
        response = signal.response()
        if rejected:
            partial = response.partial_success
            partial.error_message = f"expected {_WHY[signal]}"
            if signal is TRACES:
                partial.rejected_spans = rejected
            else:
                partial.rejected_data_points = rejected
        return response
