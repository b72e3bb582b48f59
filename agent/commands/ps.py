"""`whence ps`: the processes that have the agent, or the resources of one of them."""

import argparse
import json
import sys
from typing import Any

from ..serving.about import BLOCKED
from ..serving.processes import Process, answers, find, the_process
from .showing import Column, counted, duration, number, place, printable, table, width
from .words import Parser, add_json, add_process, matches, whole, words_of

STEPS = ("Handle", "Future")
"""Types that are parts of something else: shown when asked for."""
_OWN_READER = "._read_from_self"
"""End of the name of the reader by which other threads wake asyncio's loops."""
_EVERYTHING = 20_000
"""Resources that are looked through for those that match."""
_LIMIT = 1000

_NUMBERS = ("age", "run", "ready", "wait", "steps", "due")
_TEXTS = ("type", "name", "state", "id")

_PATIENCE = 5.0
"""Seconds for a process of the list: one that is stopped keeps the others waiting."""

DESCRIPTION = """\
Without a PID, all processes that have the agent.  With one, what it has open: every task, timer,
server, connection, job and thread, what it is doing now and for how long.
"""

_PROCESS_COLUMNS = [
    Column("PID", is_number=True),
    Column("SERVICE"),
    Column("COMMAND"),
    Column("AGE", is_number=True),
    Column("BUSY", is_number=True),
    Column("TASKS", is_number=True),
    Column("RESOURCES", is_number=True),
    Column("LOOP"),
]
_RESOURCE_COLUMNS = [
    Column("ID", is_number=True),
    Column("TYPE"),
    Column("NAME"),
    Column("STATE"),
    Column("AGE", is_number=True),
    Column("RUN", is_number=True),
    Column("WAIT", is_number=True),
    Column("MADE AT"),
    Column("NOW"),
]


def main(words: list[str]) -> int:
    """Print; 0, or 1 if some process did not answer.  Raises UsageError, NoAnswer."""
    options = _parser().parse_args(words)
    if options.process:
        return _print_resources(the_process(options.process), options)
    return _print_processes(options.json)


def _parser() -> Parser:
    parser = Parser("ps", DESCRIPTION)
    add_process(parser)
    parser.add_argument(
        "-t", "--type", type=words_of, default=[], metavar="TYPES", help="such as Task,Timer*"
    )
    parser.add_argument(
        "-n", "--name", type=words_of, default=[], metavar="NAMES", help="such as 'task poll*'"
    )
    parser.add_argument(
        "-s",
        "--state",
        type=words_of,
        default=[],
        metavar="STATES",
        help="running, ready, waiting, pending, open",
    )
    parser.add_argument(
        "--sort",
        choices=(*_TEXTS, *_NUMBERS),
        default="id",
        metavar="KEY",
        help=f"one of {', '.join((*_TEXTS, *_NUMBERS))}; times the longest first (default: id)",
    )
    parser.add_argument(
        "--limit",
        type=whole(0),
        default=_LIMIT,
        metavar="N",
        help=f"rows (default: {_LIMIT})",
    )
    parser.add_argument(
        "-a",
        "--all",
        action="store_true",
        help="callbacks and futures too, which are steps of something else",
    )
    add_json(parser)
    return parser


def _print_processes(as_json: bool) -> int:
    found = find()
    told = answers(found, "about", _PATIENCE)
    if as_json:
        listed = [about for _, about in told]
        print(json.dumps({"processes": listed, "problems": found.problems}, indent=2))
    elif told:
        rows = [_process_row(about) for _, about in told]
        print("\n".join(table(_PROCESS_COLUMNS, rows, width())))
    else:
        print("no process here has the agent: start one with `whence run`", file=sys.stderr)
    if not as_json:
        for problem in found.problems:
            print(f"whence ps: {printable(problem)}", file=sys.stderr)
    return 1 if found.problems else 0


def _process_row(about: dict[str, Any]) -> list[str]:
    counts = about["counts"]
    busy = sum(loop["busy"] for loop in about["loops"]) / max(about["age"], 0.001)
    return [
        str(about["pid"]),
        about["service"],
        about["command"],
        duration(about["age"]),
        f"{min(busy, len(about['loops']) or 1):.0%}",
        number(counts.get("Task", 0)),
        number(sum(counts.values())),
        ", ".join(map(loop_state, about["loops"])) or "-",
    ]


def loop_state(loop: dict[str, Any]) -> str:
    """`waiting`, or `blocked 3.1s app.py:41`."""
    if loop["state"] != BLOCKED:
        return str(loop["state"])
    return f"{loop['state']} {duration(loop['seconds'])} {place(loop['at'])}"


def _print_resources(process: Process, options: argparse.Namespace) -> int:
    filtered = options.type or options.name or options.state or options.sort != "id"
    limit = _EVERYTHING if filtered else max(options.limit, _LIMIT)
    answer = process.ask("resources", limit=limit)
    chosen = [one for one in answer["resources"] if _is_wanted(one, options)]
    chosen.sort(key=lambda one: _rank(one, options.sort))
    shown = chosen[: options.limit]
    if options.json:
        print(json.dumps({**answer, "resources": shown}, indent=2))
        return 0
    rows = [_resource_row(one) for one in shown]
    print("\n".join(table(_RESOURCE_COLUMNS, rows, width())))
    print(_summary(answer, len(chosen), len(shown)))
    return 0


def _is_wanted(resource: dict[str, Any], options: argparse.Namespace) -> bool:
    if not (options.type or options.all) and is_step(resource):
        return False
    return (
        matches(resource["type"], options.type)
        and (matches(resource["name"], options.name) or matches_task(resource, options.name))
        and matches(resource["state"], options.state)
    )


def is_step(resource: dict[str, Any]) -> bool:
    """Whether it is a part of something else, or asyncio's own."""
    return resource["type"] in STEPS or resource["name"].endswith(_OWN_READER)


def matches_task(resource: dict[str, Any], globs: list[str]) -> bool:
    """Whether the name that the program has given a task is one of them."""
    return bool(resource["task_name"]) and matches(resource["task_name"], globs)


def _rank(resource: dict[str, Any], key: str) -> tuple[float | str, int]:
    async_id: int = resource["async_id"]
    if key == "id":
        return "", async_id
    value = resource[key]
    if key in _TEXTS:
        return value, async_id
    if value is None:
        return float("inf"), async_id
    return (value if key == "due" else -value), async_id


def _resource_row(resource: dict[str, Any]) -> list[str]:
    return [
        str(resource["async_id"]),
        resource["type"],
        resource["name"],
        resource["state"],
        duration(resource["age"]),
        duration(resource["run"]),
        duration(resource["wait"]),
        place(resource["site"]),
        doing(resource),
    ]


def doing(resource: dict[str, Any]) -> str:
    """What it does now: where it is and in what; when it is due; what it is known by."""
    due = resource["due"]
    if due is not None and resource["state"] != "running":
        return f"due in {duration(due)}" if due > 0 else f"{duration(-due)} late"
    if resource["at"] is not None:
        return " ".join(filter(None, (place(resource["at"]), resource["waits_for"])))
    return " ".join(f"{key}={value}" for key, value in resource["details"].items())


def _summary(answer: dict[str, Any], matching: int, shown: int) -> str:
    counts = answer["counts"]
    parts = [counted(sum(counts.values()), "resource")]
    if shown < matching:
        parts.append(f"{number(matching - shown)} more match (--limit)")
    parts += [
        f"{counted(counts[name], noun)}"
        for name, noun in (("Handle", "callback"), ("Future", "future"))
        if counts.get(name)
    ]
    if answer["left_out"]:
        parts.append(f"{number(answer['left_out'])} were not looked at")
    return ", ".join(parts)
