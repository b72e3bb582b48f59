"""The metrics that are asked for: an endpoint for Prometheus, in a thread of our own.

- It listens from the program's first event on.  Of the processes of a server each has an endpoint:
  the first that finds the port free has it, the others have the next ones that are.
- Nothing of OpenTelemetry is imported before the first one asks.

Start-up path of every attached process: imports nothing heavy.
"""

import os
import sys

from ..report import warn
from ..resident import STOPPED, Resident
from .exporting import CannotExport, load
from .metering import asked_for, nothing_is_sent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from ..settings.config import Settings

    class Endpoint(Protocol):
        """Listens on a port and answers with all metrics."""

        url: str

        def serve(self, until: "Callable[[], bool]") -> None:
            """Answer until `until()`, which is asked again whenever wake() was called."""

        def wake(self) -> None:
            """Have serve() ask.  For any thread."""

        def close(self) -> None:
            """Listen no more; in a forked child that leaves the parent's as it is."""


ENDPOINT = "whence.exporters.metrics.endpoint:Endpoint"
APPLICATION = "whence.exporters.metrics.meters:application_has_provider"
HOST_VARIABLE = "OTEL_EXPORTER_PROMETHEUS_HOST"
PORT_VARIABLE = "OTEL_EXPORTER_PROMETHEUS_PORT"
DEFAULT_HOST = "localhost"
DEFAULT_PORT = 9464
"""As in https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/."""


def port_of(settings: "Settings", environ: "Mapping[str, str]") -> int | None:
    """The port to listen on, 0 for any free one; None if nobody wants an endpoint."""
    if settings.metrics_port is not None:
        return settings.metrics_port
    if "prometheus" not in asked_for(environ) or nothing_is_sent(settings):
        return None
    text = environ.get(PORT_VARIABLE, "").strip()
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    if text:
        warn(
            f"{PORT_VARIABLE}: expected a port from 0 to 65535, not {text!r}; "
            f"{DEFAULT_PORT} is used"
        )
    return DEFAULT_PORT


def host_of(environ: "Mapping[str, str]") -> str:
    """The name or address to listen on."""
    return environ.get(HOST_VARIABLE, "").strip() or DEFAULT_HOST


class Scraping:
    """Serves the metrics of this process."""

    def __init__(
        self,
        settings: "Settings",
        port: int,
        before_loading: "Callable[[], None]" = lambda: None,
    ) -> None:
        """`before_loading` is called in the thread, before it imports anything."""
        self._settings = settings
        self._port = port
        self._before_loading = before_loading
        self._endpoint: Endpoint | None = None
        self.resident = Resident("serving metrics", self._work, self._wake)

    @property
    def url(self) -> str:
        """Where the metrics are; empty while nothing listens."""
        return "" if self._endpoint is None else self._endpoint.url

    def in_child(self) -> "Scraping":
        """The same for a forked child."""
        if self._endpoint is not None:
            self._endpoint.close()
        return Scraping(self._settings, self._port, self._before_loading)

    def _wake(self) -> None:
        if self._endpoint is not None:
            self._endpoint.wake()

    def _work(self) -> None:
        resident = self.resident
        if self._endpoint is None and resident.order is None:
            if self._is_the_applications():
                resident.order = STOPPED
            else:
                self._listen()
        if self._endpoint is not None:
            self._endpoint.serve(lambda: resident.order is not None)
            if resident.order is STOPPED:
                self._endpoint.close()
                self._endpoint = None

    def _is_the_applications(self) -> bool:
        """Whether OpenTelemetry's variable asked for an endpoint, and the application's provider
        has read it too."""
        if self._settings.metrics_port is not None or "opentelemetry.metrics" not in sys.modules:
            return False
        return bool(load(APPLICATION)())

    def _listen(self) -> None:
        self.resident.loading = True
        try:
            self._before_loading()
            host = host_of(os.environ)
            self._endpoint = load(ENDPOINT)(self._settings, host, self._port)
        except CannotExport as error:
            self.resident.order = STOPPED
            if str(error):
                warn(str(error))
        else:
            if not self._settings.quiet:
                warn(f"metrics at {self._endpoint.url}")
        finally:
            self.resident.loading = False
