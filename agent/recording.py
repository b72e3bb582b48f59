"""Switching the recording on and off, as the settings say."""

from . import engine, instrumenting, watchdog
from .engine import recorder
from .engine.blocks import blocks
from .engine.resource_types import select_types
from .engine.selected import select
from .selection import wanted_resources
from .settings.config import Settings

_DEFAULTS = (recorder.min_duration, recorder.sites, recorder.messages, recorder.sends)

_SLOW = recorder.slow


def start(settings: Settings) -> None:
    """Record the life of every resource from now on."""
    instrumenting.switch_off(frozenset(settings.disable))
    select_types(settings.types)
    select(wanted_resources(settings))
    recorder.min_duration = int(settings.min_duration * 1_000_000)
    recorder.sites = settings.stacks > 0
    recorder.messages = not settings.no_messages
    slow = int(settings.slow * 1_000_000)
    recorder.find_slow(slow)
    blocks.clear()
    recorder.on = True
    watchdog.start(slow)
    engine.want_instrumentation(True)


def stop() -> None:
    """Record nothing more; hooks of the program's own go on."""
    recorder.on = False
    recorder.find_slow(_SLOW)
    watchdog.stop()
    (recorder.min_duration, recorder.sites, recorder.messages, recorder.sends) = _DEFAULTS
    select_types(None)
    select(None)
    engine.want_instrumentation(False)
    instrumenting.switch_off(frozenset())
    _forget_open()


def _forget_open() -> None:
    """What is open is followed no more.  Counted, or it would be open for ever to who subtracts."""
    opened = engine.open_lifetimes
    for async_id in list(opened):
        lifetime = opened.pop(async_id, None)
        if lifetime is not None:
            row = lifetime.type
            row.destroyed += 1
            row.otherwise[engine.OPEN] = row.otherwise.get(engine.OPEN, 0) + 1
