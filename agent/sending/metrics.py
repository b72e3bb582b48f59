"""The metrics of the process: start, stop, forks.

    engine's counters -> exporters/metrics/table.py, the table -> OTLP every 15 s | Prometheus | the
    application's own MeterProvider

What is done is done in `metering` (what is sent) and `scraping` (what is asked for), each with a
thread; here is when.

Start-up path of every attached process: imports nothing heavy.
"""

import os
import sys
from time import monotonic

from ..deferral import when_imported
from ..report import warn
from ..resident import Resident
from .exporting import load
from .metering import Metering, asked_for, exporters_of, nothing_is_sent
from .scraping import Scraping, port_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings.config import Settings

METERS = "whence.exporters.metrics.meters"
"""Registers the metrics with the application's own MeterProvider."""

_metering: Metering | None = None
_scraping: Scraping | None = None
_registers = False
_since = monotonic()


def since() -> float:
    """When this process began to count, of `time.monotonic()`."""
    return _since


def start(settings: "Settings", before_loading: "Callable[[], None]") -> bool:
    """Send and serve metrics from the first event on, as the settings and OTEL_* say; whether there
    is anything to do.  Starts no thread yet, and imports nothing.

    `before_loading` is called in each of the threads, before it imports what it needs."""
    global _metering, _scraping, _registers
    names = exporters_of(settings, os.environ)
    port = port_of(settings, os.environ)
    _metering = Metering(settings, names, before_loading) if names else None
    _scraping = None if port is None else Scraping(settings, port, before_loading)
    _registers = not nothing_is_sent(settings) and "none" not in asked_for(os.environ)
    for resident in _residents():
        resident.begin()
    if _registers:
        # Right after the application has it, in its thread: it may set its provider next.
        when_imported("opentelemetry.metrics", _register)
    return bool(_residents() or _registers)


def stop(by: float) -> None:
    """Let all of it end by a time of `time.monotonic()`; `wait` waits for it."""
    for resident in _residents():
        resident.stop(by)


def unregister() -> None:
    """Let the application's own provider find nothing more.  Not at the end of the process: the
    provider's last collection may be still to come."""
    global _registers
    if _registers and METERS in sys.modules:
        _call_meters("unregister")
    _registers = False


def wait() -> None:
    """Wait for what stop() has let end; do here what no thread does."""
    global _metering, _scraping
    metering, scraping, _metering, _scraping = _metering, _scraping, None, None
    if metering is not None:
        metering.finish()
        metering.resident.wait()
    if scraping is not None:
        scraping.resident.wait()


def before_fork() -> None:
    """Have no thread."""
    for resident in _residents():
        resident.pause()


def in_parent() -> None:
    """Go on after a fork."""
    for resident in _residents():
        resident.resume()


def in_child() -> None:
    """Begin anew in a forked child, with an endpoint of its own."""
    global _metering, _scraping, _since
    _since = monotonic()
    if _metering is not None:
        _metering = _metering.in_child()
    if _scraping is not None:
        _scraping = _scraping.in_child()
    for resident in _residents():
        resident.begin()
    if METERS in sys.modules:
        _register()


def _register() -> None:
    if _registers:
        _call_meters("register")


def _call_meters(name: str) -> None:
    """In a thread of the program's: it is not to be disturbed, whatever goes wrong."""
    try:
        load(f"{METERS}:{name}")()
    except Exception as error:
        warn(f"the MeterProvider of the program gets no metrics ({type(error).__name__}: {error})")


def _residents() -> list[Resident]:
    return [part.resident for part in (_metering, _scraping) if part is not None]
