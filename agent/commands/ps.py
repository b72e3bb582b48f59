"""`whence ps`: the processes that have the agent, or the resources of one of them."""

import argparse
import json
import sys
from typing import Any

from ..live.wanted import NUMBERS, TEXTS
from ..serving.about import BLOCKED
from ..serving.processes import Process, answers, find, the_process
from .showing import Column, counted, duration, number, place, printable, table, width
from .words import Parser, add_json, add_process, whole, words_of

_LIMIT = 1000

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
        choices=(*TEXTS, *NUMBERS),
        default="id",
        metavar="KEY",
        help=f"one of {', '.join((*TEXTS, *NUMBERS))}; times the longest first (default: id)",
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
    answer = process.ask(
        "resources",
        limit=options.limit,
        types=options.type,
        names=options.name,
        states=options.state,
        steps=options.all,
        sort=options.sort,
    )
    if options.json:
        print(json.dumps(answer, indent=2))
        return 0
    rows = [_resource_row(one) for one in answer["resources"]]
    print("\n".join(table(_RESOURCE_COLUMNS, rows, width())))
    print(_summary(answer))
    return 0


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


def _summary(answer: dict[str, Any]) -> str:
    counts = answer["counts"]
    parts = [counted(sum(counts.values()), "resource")]
    if answer["left_out"]:
        parts.append(f"{number(answer['left_out'])} more match (--limit)")
    parts += [
        f"{counted(counts[name], noun)}"
        for name, noun in (("Handle", "callback"), ("Future", "future"))
        if counts.get(name)
    ]
    return ", ".join(parts)
