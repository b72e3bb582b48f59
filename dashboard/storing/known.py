"""What there are few of, and what goes by a number in the tables: services, processes, names.

Each is asked for with every span, so the numbers are remembered; what is remembered is bounded.
"""

import json
import sqlite3
from hashlib import blake2b
from typing import Any

from .attributes import attributes_of

MAX_REMEMBERED = 20_000
MAX_NAMES = 20_000
"""Names of spans; a program that makes up names without end is found by its first ones."""
MAX_NAME = 500
MAX_ATTRIBUTES = 16 << 10
"""Characters of JSON that describe a process."""
UNKNOWN = "unknown_service"


class Process:
    """One that sends: its number and its service's."""

    __slots__ = ("id", "service", "service_name")

    def __init__(self, id: int, service: int, service_name: str) -> None:
        self.id = id
        self.service = service
        self.service_name = service_name


class Known:
    """The numbers, of one connection to one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._names_left,) = connection.execute(
            "SELECT ? - count(*) FROM names", (MAX_NAMES,)
        ).fetchone()
        self._processes: dict[bytes, Process] = {}
        self._names: dict[tuple[int, str], int | None] = {}
        self._seen: dict[Process, int] = {}

    def process(self, resource: Any, now: int) -> Process:
        """The process that an OTLP resource describes."""
        digest = blake2b(resource.SerializeToString(deterministic=True), digest_size=16).digest()
        process = self._processes.get(digest)
        if process is None:
            if len(self._processes) >= MAX_REMEMBERED:
                self._processes.clear()
            process = self._processes[digest] = self._make_process(resource, now)
        self._seen[process] = now
        return process

    def name(self, service: int, name: str) -> int | None:
        """The number of the name of a span; None for one too many."""
        key = (service, name)
        if key not in self._names:
            if len(self._names) >= MAX_REMEMBERED:
                self._names.clear()
            self._names[key] = self._make_name(service, name)
        return self._names[key]

    def note_seen(self) -> frozenset[str]:
        """Write down when each was last heard of; the services of those that were."""
        for process, now in self._seen.items():
            self._connection.execute(
                "UPDATE processes SET last = ? WHERE id = ?", (now, process.id)
            )
            self._connection.execute(
                "UPDATE services SET last = ? WHERE id = ?", (now, process.service)
            )
        services = frozenset(process.service_name for process in self._seen)
        self._seen.clear()
        return services

    def forget(self) -> None:
        """Rows were deleted, or what was written was taken back."""
        self._processes.clear()
        self._names.clear()
        self._seen.clear()

    def _make_process(self, resource: Any, now: int) -> Process:
        attributes = attributes_of(resource.attributes)
        name = str(attributes.get("service.name") or UNKNOWN)[:MAX_NAME]
        service = self._service(name, now)
        told = json.dumps(attributes)
        if len(told) > MAX_ATTRIBUTES:
            short = {key: value for key, value in attributes.items() if len(str(value)) < 200}
            told = json.dumps(dict(list(short.items())[:64]))
        key = _identity(attributes)
        (number,) = self._connection.execute(
            "INSERT INTO processes (key, service, attributes, first, last) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET attributes = excluded.attributes RETURNING id",
            (key, service, told, now, now),
        ).fetchone()
        return Process(number, service, name)

    def _service(self, name: str, now: int) -> int:
        (number,) = self._connection.execute(
            "INSERT INTO services (name, last) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET last = excluded.last RETURNING id",
            (name, now),
        ).fetchone()
        return int(number)

    def _make_name(self, service: int, name: str) -> int | None:
        found = self._connection.execute(
            "SELECT id FROM names WHERE service = ? AND name = ?", (service, name)
        ).fetchone()
        if found is not None:
            return int(found[0])
        if self._names_left <= 0:
            return None
        self._names_left -= 1
        return self._connection.execute(
            "INSERT INTO names (service, name) VALUES (?, ?)", (service, name)
        ).lastrowid


def _identity(attributes: dict[str, Any]) -> str:
    """What makes a process the same one, in spans and metrics, whatever else is said of it."""
    service = attributes.get("service.namespace"), attributes.get("service.name")
    if attributes.get("service.instance.id"):
        told: tuple[object, ...] = ("instance", *service, attributes["service.instance.id"])
    elif attributes.get("process.pid"):
        told = ("pid", *service, attributes.get("host.name"), attributes["process.pid"])
    else:
        told = ("attributes", *service, sorted((k, str(v)) for k, v in attributes.items()))
    return blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()
