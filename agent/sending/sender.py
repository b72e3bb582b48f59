"""The sender thread: drains the ring, and hands what comes out of it to the destinations.

- The first callback of a loop starts the thread, or the first kept lifetime without one: what goes
  on for long is sent in segments, also if nothing else ever ends.  It sleeps while nothing is kept;
  then it gathers for 250 ms, or until there are 8,192, and hands all of it over as one batch.
- It is no thread of `threading`'s: what the program counts and lists stays as it was.  It is muted:
  what it does, and the threads that it starts do, is told to no hook.
- All that exporters need is imported in it, never in a thread of the program's.
- Nothing blocks the program, and nothing grows: what cannot be sent is dropped and counted.
- The end takes as long as it was given, whatever a destination does.

Start-up path of every attached process: imports nothing heavy.
"""

import gc
from collections import deque
from time import monotonic

from ..background import REFUSED, RUNS, Background, Signal, stay_unlisted
from ..engine import Tracer, at_next_event, clock, local, recorder, ring
from ..engine.events import loop_turns
from ..engine.ring import NEVER, let_go
from ..listening.gathering import LOOK_EVERY, Gathering
from ..report import warn
from ..selection import wanted_traces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..engine import SpanLifetime, Trace
    from ..settings.config import Settings
    from .destinations import Destination

BATCH = 8192
GATHERING = 0.25
"""Seconds from the first record of a batch to its export."""
_LONGEST_SLEEP = 15.0
"""Seconds between two looks for lifetimes that have been open for long."""
_MARGIN = 0.25
"""Seconds of the end that exporters are not given, so that all is over in time."""
LAST_BATCH = 1024
"""At the end, so that what was sent before time was over is known to have been."""
_PAUSE = 0.05
_PAUSE_LOADING = 5.0
"""Seconds that a fork waits for the sender thread.  Longer while it imports: a child forked then
would find modules locked for ever."""

_PAUSED = "paused"
_STOPPED = "stopped"


class Counts:
    """What became of the spans of this process so far, as numbers of spans.

    `dropped` did not arrive somewhere; `unsampled` no sampler wanted; `counted` were too much for
    their traces and are numbers on their ancestors; `over_rate` were left out with their traces, by
    `max_rate`.  A span with two destinations counts twice.
    """

    __slots__ = ("counted", "dropped", "over_rate", "sent", "unsampled")

    def __init__(
        self, sent: int, unsampled: int, counted: int, dropped: int, over_rate: int = 0
    ) -> None:
        self.over_rate = over_rate
        self.sent = sent
        self.unsampled = unsampled
        self.counted = counted
        self.dropped = dropped

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"Counts({fields})"


class Sender:
    """Drains the ring, in a thread of its own."""

    def __init__(
        self,
        settings: "Settings",
        destinations: "list[Destination]",
        before_loading: "Callable[[], None]" = lambda: None,
    ) -> None:
        """`before_loading` is called in the thread, before it imports what exporters need."""
        self.settings = settings
        self._before_loading = before_loading
        self.destinations = destinations
        self.tracer = Tracer(settings.max_spans, settings.max_rate, wanted_traces(settings))
        self.gathering = Gathering(settings.segment)
        self._segment = int(settings.segment * 1e9)
        self._scan_every = min(max(settings.segment / 4, GATHERING), _LONGEST_SLEEP)
        self._next_scan = monotonic() + self._scan_every
        self._order: str | None = None
        self._stop_by = 0.0
        self._woken = Signal()
        self._flushes: deque[Signal] = deque()
        self._background = Background(self._run, self._go_on)
        self._loaded = False
        self._taken = ring.drained
        """How many records out of the ring have been handed to the destinations, or counted."""
        self._counted = self._over_rate = 0
        self._uncut = 0
        """What is open at the end and not yet handed to the destinations."""

    def begin(self) -> None:
        """Begin with the next callback of a loop, to look for what goes on for long."""
        at_next_event(self._begin)

    def _begin(self) -> None:
        """At an event, in a thread of the program's."""
        if self._order is not None:
            return
        if loop_turns():
            self._background.start()
        else:
            at_next_event(self._begin)

    def wake(self) -> None:
        """Let it drain soon.  Called by the ring, in any thread; never raises."""
        ring.wake_at = NEVER
        if self._background.start() is RUNS:
            self._woken.set()

    def counts(self) -> Counts:
        """What became of the spans so far."""
        lost = ring.dropped + sum(d.failed for d in self.destinations)
        if self.stopped:
            # If it was not done in time, nobody will ever know of these.
            lost += ring.pushed - self._taken + self._uncut
            lost += sum(d.pending + d.waiting for d in self.destinations)
        return Counts(
            sent=sum(d.sent for d in self.destinations),
            unsampled=sum(d.unsampled for d in self.destinations),
            counted=self._counted,
            dropped=lost,
            over_rate=self._over_rate,
        )

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._order is _STOPPED

    def stop(self, timeout: float) -> None:
        """Send what there is, the open lifetimes too, within `timeout` seconds."""
        ring.wake_at = NEVER
        self._stop_by = monotonic() + timeout
        self._order = _STOPPED
        if not self._background.runs and not self._loaded and not self._remains():
            return
        # A full collection of a large heap holds the GIL for longer than there is time for, and
        # would run the program's finalizers in our thread.
        collects = gc.isenabled()
        gc.disable()
        try:
            self._finish_in_time(timeout)
        except KeyboardInterrupt:
            pass  # the user has waited enough
        finally:
            if collects:
                gc.enable()

    def _finish_in_time(self, timeout: float) -> None:
        if self._background.start() is REFUSED:
            self._finish_here()
        else:
            self._woken.set()
            self._background.wait(timeout)

    def flush(self, timeout: float) -> None:
        """Hand over what there is now, and the traces that are finished; wait for that for
        `timeout` seconds at the most."""
        if self._order is None and not self._background.is_current:
            done = Signal()
            self._flushes.append(done)
            self.wake()
            done.wait(timeout)

    def inherit(self, other: "Sender") -> None:
        """Go on where another sender leaves off, which has no thread any more."""
        other.pause()
        self.gathering = other.gathering

    def pause(self) -> None:
        """Have no thread, for a fork.  Waits for a moment only: a send is not interrupted."""
        if self._background.runs and not self._background.is_current:
            self._order = self._order or _PAUSED
            self._woken.set()
            self._background.wait_until_gone(_PAUSE if self._loaded else _PAUSE_LOADING)

    def resume(self) -> None:
        """Go on after a fork, with the next event.

        Not at once: some Pythons count the threads only now, to warn of a fork of several."""
        if self._order is _PAUSED:
            self._order = None
            ring.wake_at = 0
            self.begin()

    def _run(self) -> None:
        try:
            self._take_turns()
            if self._order is _STOPPED:
                self._finish()
        except BaseException as error:
            self._give_up(error)

    def _go_on(self) -> None:
        """The thread has ended.  A pause may have been over before it was gone."""
        if self._order is None and recorder.sends:
            ring.wake_at = 0
            if len(ring):
                self.wake()

    def _take_turns(self) -> None:
        while self._order is None:
            ring.wake_at = 0
            if not len(ring) and not self._flushes:
                self._woken.wait(self._until_next_look())
            if len(ring) and self._order is None and not self._flushes:
                ring.wake_at = BATCH - 1
                if len(ring) < BATCH:
                    self._woken.wait(GATHERING)
            ring.wake_at = NEVER
            asked = len(self._flushes)
            if self._order is None:
                self._send()
                if asked:
                    self._send()  # and look once more
            for _ in range(asked):
                self._flushes.popleft().set()

    def _until_next_look(self) -> float:
        retry_at = min((d.retry_at for d in self.destinations), default=self._next_scan)
        until = min(self._next_scan, retry_at) - monotonic()
        return min(until, LOOK_EVERY) if self.gathering.waits else until

    def _send(self) -> None:
        while self._order is None:
            if len(ring):
                self._load()
            taken, batch = self._take(BATCH)
            self._announce(batch, taken)
            if batch:
                self._export(batch)
            else:
                self._retry()
            if taken < BATCH:
                break
        if self._order is None and monotonic() >= self._next_scan:
            self._send_long_open()
        if self._order is None:
            self.gathering.look()

    def _retry(self) -> None:
        """Let destinations try again what waits in them."""
        for destination in self.destinations:
            if destination.retry_at <= monotonic():
                destination.export([])

    def _send_long_open(self) -> None:
        self._next_scan = monotonic() + self._scan_every
        due = self.tracer.due(clock(), self._segment)
        if due:
            self._load()
        for batch in self._cut(due, BATCH):
            self._announce(batch, 0)
            self._export(batch)
            if self._order is not None:
                return

    def _take(self, most: int) -> "tuple[int, list[SpanLifetime]]":
        """How many came out of the ring, and those of them that are exported."""
        drained = ring.drain(most)
        taken = len(drained)
        return taken, self.tracer.place_all(drained)

    def _announce(self, batch: "list[SpanLifetime]", taken: int) -> None:
        """Make what comes next the destinations' to count: it may be the end before they do."""
        for destination in self.destinations:
            destination.pending = len(batch)
        self._taken += taken
        self._counted, self._over_rate = self.tracer.counted, self.tracer.over_rate

    def _cut(self, lifetimes: "list[SpanLifetime]", most: int) -> "Iterator[list[SpanLifetime]]":
        """The records of their segments, in batches; one that is empty if there are none."""
        cut = self.tracer.cut
        for start in range(0, len(lifetimes) or 1, most):
            now = clock()
            some = lifetimes[start : start + most]
            yield [cut(lifetime, now) for lifetime in some if lifetime.open]

    def _remains(self) -> bool:
        return len(ring) > 0 or self.gathering.waits or any(self._worth_a_span(clock()))

    def _worth_a_span(self, now: int) -> "list[SpanLifetime]":
        """What is open, as the end of the process finds it."""
        least = recorder.min_duration
        return [
            lifetime
            for lifetime in self.tracer.due(now, 0)
            if lifetime.keep or now - lifetime.created >= least
        ]

    def _finish(self) -> None:
        """Send the rest, as far as time allows."""
        if recorder.sends:
            self._finish_sending()
        self.gathering.hand_over_all()
        for nth, destination in enumerate(self.destinations):
            destination.stop(self._share(nth))
        for nth, listener in enumerate(self.gathering.listeners, len(self.destinations)):
            listener.finish(self._share(nth))

    def _finish_sending(self) -> None:
        while len(ring) and monotonic() < self._stop_by:
            taken, batch = self._take(LAST_BATCH)
            self._export_last(batch, taken)
        for nth, destination in enumerate(self.destinations):
            if destination.waiting:
                destination.export([], self._share(nth))
        still_open = self._worth_a_span(clock())
        self._uncut = len(still_open)
        for batch in self._cut(still_open, LAST_BATCH):
            self._uncut -= min(self._uncut, LAST_BATCH)
            self._export_last(batch, 0)
            if monotonic() >= self._stop_by:
                return

    def _finish_here(self) -> None:
        """Finish in the calling thread: too late in the process's life for another one."""
        state = local.state
        muted, state.muted = state.muted, True
        try:
            self._finish()
        except Exception as error:
            self._give_up(error)
        finally:
            state.muted = muted

    def _load(self) -> None:
        if not self._loaded:
            self._before_loading()
            for destination in self.destinations:
                destination.start(self.settings)
            self._loaded = True
            if self.destinations:
                self.tracer.is_sampled = self._is_sampled
            stay_unlisted()

    def _is_sampled(self, trace: "Trace") -> bool:
        return any(destination.is_sampled(trace) for destination in self.destinations)

    def _export(self, batch: "list[SpanLifetime]") -> None:
        self.gathering.take(batch)
        for destination in self.destinations:
            destination.export(batch)
        let_go(batch)
        stay_unlisted()

    def _export_last(self, batch: "list[SpanLifetime]", taken: int) -> None:
        self._announce(batch, taken)
        self.gathering.take(batch)
        if batch:
            self._load()
            for nth, destination in enumerate(self.destinations):
                destination.export(batch, self._share(nth))

    def _share(self, nth: int) -> float:
        """Seconds for a destination or a listener, so that one that hangs leaves some to those
        after it."""
        left = self._stop_by - _MARGIN - monotonic()
        number = len(self.destinations) + len(self.gathering.listeners)
        return max(0.0, left / (number - nth))

    def _give_up(self, error: BaseException) -> None:
        recorder.sends = False
        ring.wake_at = NEVER
        warn(f"sending failed ({type(error).__name__}: {error}); no more spans are sent")
