"""Where the metrics of a program would go: each destination is asked, each port tried."""

import os

from ..sending.exporting import CannotExport, ExportError, load
from ..sending.metering import exporters_of
from ..sending.metrics_destination import load_exporter
from ..sending.scraping import ENDPOINT, host_of, port_of
from ..settings.config import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHECK_TIMEOUT = 1.0
"""Seconds that a destination has to answer."""

TAKES = "takes metrics"
FAILS = "takes no metrics"
SERVES = "can listen"
UNUSABLE = "unusable"
UNCHECKED = "not checked"


def look_at_metrics(chosen: Settings) -> "list[dict[str, Any]]":
    """The exporters of metrics, and the endpoint, each with its state."""
    rows = [_row(name, lambda row: _ask(row, chosen)) for name in exporters_of(chosen, os.environ)]
    port = port_of(chosen, os.environ)
    if port is not None:
        rows.append(_row("prometheus", lambda row: _listen(row, chosen, port)))
    return rows


def _row(name: str, look: "Callable[[dict[str, Any]], None]") -> "dict[str, Any]":
    row: dict[str, Any] = {"name": name, "label": name, "state": UNUSABLE, "why": ""}
    try:
        look(row)
    except CannotExport as error:
        row["why"] = str(error)
    except Exception as error:
        row["why"] = f"the metrics exporter cannot be loaded ({type(error).__name__}: {error})"
    return row


def _ask(row: "dict[str, Any]", chosen: Settings) -> None:
    """Load it as the metrics thread would, and ask it."""
    exporter = load_exporter(row["name"])
    exporter.start(chosen)
    row["label"] = exporter.label
    check = getattr(exporter, "check", None)
    row["state"] = UNCHECKED
    if check is not None:
        try:
            check(CHECK_TIMEOUT)
            row["state"] = TAKES
        except ExportError as error:
            row["state"], row["why"] = FAILS, str(error)
    exporter.stop(CHECK_TIMEOUT)


def _listen(row: "dict[str, Any]", chosen: Settings, port: int) -> None:
    endpoint = load(ENDPOINT)(chosen, host_of(os.environ), port)
    row["label"] = endpoint.url if port else f"{endpoint.url.rpartition(':')[0]}, any port"
    row["state"] = SERVES
    endpoint.close()
