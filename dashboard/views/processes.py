"""Services, their processes, and the names of their spans."""

import json
import socket
import sqlite3
from typing import Any

from .asked import BILLION, Asked, NotThere

_MAX_PROCESSES = 500
_MAX_NAMES = 1_000
_COLUMNS = "processes.id, services.name, processes.attributes, processes.first, processes.last"
_FROM = "FROM processes JOIN services ON services.id = processes.service"


def services(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/services`."""
    rows = connection.execute(
        "SELECT name, last, (SELECT count(*) FROM processes WHERE service = services.id), "
        "(SELECT count(*) FROM (SELECT 1 FROM trace_services WHERE service = services.id "
        "LIMIT 10000)) FROM services ORDER BY name"
    )
    return {
        "services": [
            {"name": name, "processes": processes, "traces": traces, "last": last / BILLION}
            for name, last, processes, traces in rows
            if processes or traces
        ]
    }


def processes(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/processes`."""
    service = asked.text("service")
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE ? IN ('', services.name) "
        "ORDER BY processes.last DESC, processes.id DESC LIMIT ?",
        (service, _MAX_PROCESSES),
    )
    return {"processes": [_process(row) for row in rows]}


def process(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    """One of them.  Raises NotThere."""
    row = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE processes.id = ?", (number,))
    found = row.fetchone()
    if found is None:
        raise NotThere(f"there is no process {number} (any more)")
    return _process(found)


def names(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/names`."""
    service = asked.text("service")
    rows = connection.execute(
        "SELECT DISTINCT names.name FROM names JOIN services ON services.id = names.service "
        "WHERE ? IN ('', services.name) ORDER BY names.name LIMIT ?",
        (service, _MAX_NAMES),
    )
    return {"names": [name for (name,) in rows]}


def _process(row: tuple[Any, ...]) -> dict[str, Any]:
    number, service, told, first, last = row
    attributes = json.loads(told)
    host = attributes.get("host.name")
    return {
        "id": number,
        "service": service,
        "version": attributes.get("service.version"),
        "pid": attributes.get("process.pid"),
        "host": host,
        "instance": attributes.get("service.instance.id"),
        "command": attributes.get("process.command_line") or attributes.get("process.command"),
        "language": attributes.get("telemetry.sdk.language"),
        "runtime": _runtime(attributes),
        "first": first / BILLION,
        "last": last / BILLION,
        "whence": attributes.get("telemetry.distro.name") == "whence",
        "local": "process.pid" in attributes and host in (None, socket.gethostname()),
        "attributes": attributes,
    }


def _runtime(attributes: dict[str, Any]) -> str | None:
    known = ("process.runtime.name", "process.runtime.version")
    return " ".join(str(attributes[key]) for key in known if key in attributes) or None
