"""The dashboard of Grafana: its panels, and what they ask Prometheus."""

import json
from typing import Any, NamedTuple

from containers import DEPLOY

GRAFANA = DEPLOY / "grafana"
HOME = GRAFANA / "dashboards" / "active-handles.json"


class Question(NamedTuple):
    """A panel's title, and an expression of it as Prometheus reads it."""

    panel: str
    expr: str


def dashboard() -> dict[str, Any]:
    """The home dashboard."""
    content: dict[str, Any] = json.loads(HOME.read_text(encoding="utf-8"))
    return content


def panels(*, rows: bool = False) -> list[dict[str, Any]]:
    """Its panels, without the rows that only divide them."""
    return [panel for panel in dashboard()["panels"] if rows or panel["type"] != "row"]


def questions(range: str = "1m", instance: str = ".*", service: str = ".*") -> list[Question]:
    """All that the panels ask, with Grafana's variables replaced."""
    values = {
        "$__rate_interval": range,
        "$__range": range,
        "$instance": instance,
        "$service": service,
    }
    found = []
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"]
            for variable, value in values.items():
                expr = expr.replace(variable, value)
            found.append(Question(panel["title"], expr))
    return found
