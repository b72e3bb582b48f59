"""The metrics as observable instruments of the application's own MeterProvider.

An application that has one gets ours with its own: by its exporters, at its interval, with its
resource and views.  They are registered with the API, once for the life of the process: if the
application sets its provider later, the API makes the instruments then.  An instrument cannot be
taken back, so after detach() they observe nothing.
"""

import os
import sys
from collections.abc import Callable, Iterable

from opentelemetry import metrics as api
from opentelemetry.environment_variables import OTEL_PYTHON_METER_PROVIDER
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from whence.version import VERSION

from .table import COUNTER, GAUGE, OF_PROCESS, OWN, UP_DOWN, Metric
from .window import Window

SHORTEST = 5.0
"""Seconds that gauges are of: nobody can tell here which of its readers asks."""
_THEIR_OWN = "opentelemetry.instrumentation.system_metrics"
"""Who exports the metrics of the process as well, if the program has it."""


class _Observed:
    """What the instruments observe: one for the life of the process."""

    registered = False
    window: Window | None = None


def register() -> None:
    """Observe from now on, with the provider that the application has or will set."""
    _Observed.window = Window(SHORTEST)
    if not _Observed.registered and not _would_make_one():
        _Observed.registered = True
        _make_instruments(api.get_meter("whence", VERSION))


def unregister() -> None:
    """Observe nothing any more."""
    _Observed.window = None


def application_has_provider() -> bool:
    """Whether the application has set a MeterProvider, of the SDK or of another make."""
    if _would_make_one():
        return False
    # What the API has in place of one lives where the API does.
    found = type(api.get_meter_provider())
    return not found.__module__.startswith("opentelemetry.metrics")


def _would_make_one() -> bool:
    """Whether asking for the provider would make one: the application could set none any more."""
    return (
        bool(os.environ.get(OTEL_PYTHON_METER_PROVIDER))
        and getattr(sys.modules.get("opentelemetry.metrics._internal"), "_METER_PROVIDER", None)
        is None
    )


def _make_instruments(meter: Meter) -> None:
    make = {
        COUNTER: meter.create_observable_counter,
        UP_DOWN: meter.create_observable_up_down_counter,
        GAUGE: meter.create_observable_gauge,
    }
    for metric in OWN:
        make[metric.kind](metric.name, [_observing(metric)], metric.unit, metric.description)
    for metric in OF_PROCESS:
        callback = _observing(metric, lambda: _THEIR_OWN not in sys.modules)
        make[metric.kind](metric.name, [callback], metric.unit, metric.description)


def _observing(
    metric: Metric, wanted: Callable[[], bool] = lambda: True
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> list[Observation]:
        window = _Observed.window
        if window is None or not wanted():
            return []
        window.look_once()
        return [Observation(value, about) for value, about in metric.read(window)]

    return observe
