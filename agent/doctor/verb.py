"""The command: asks, judges, and prints for people or as JSON."""

import json
import os
import sys

from ..version import VERSION
from .asking import NoAnswer, as_run, ask, by_environment
from .checks_attaching import Attaching, check_attaching
from .checks_conflicts import check_conflicts, sitecustomizes
from .checks_inside import check_inside
from .checks_interpreter import check_interpreter
from .checks_settings import check_settings, read_settings, settings_as_json
from .findings import ERROR, LEVELS, Finding
from .text import render
from .versions import is_tested, range_of
from .which_python import find_interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..settings.config import Layer
    from .asking import Answer
    from .checks_settings import Read

FORMAT = 1
"""Of the JSON: higher once a key goes or means something else."""


def doctor(options: "Layer", words: "Sequence[str]", *, as_json: bool) -> int:
    """Print what there is to say about the Python that runs the words; gives the exit code.

    Raises SettingError for a wrong option, CannotRun if the words name no Python.
    """
    python = find_interpreter(words)
    read = read_settings(options, os.environ)
    report = _examine(python, words, read, os.environ)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print(render(report, colour=_wants_colour(), places=read.settings.verbose), end="")
    return 0 if report["ok"] else 1


def _examine(
    python: "Sequence[str]", words: "Sequence[str]", read: "Read", environ: "Mapping[str, str]"
) -> "dict[str, Any]":
    findings = list(check_settings(read, environ))
    report: dict[str, Any] = {
        "format": FORMAT,
        "ok": False,
        "whence": VERSION,
        "command": list(python),
        "interpreter": None,
        "attaching": None,
        "sitecustomizes": [],
        "settings": settings_as_json(read.settings),
        "engine": None,
        "loops": [],
        "instrumentations": [],
        "exporters": [],
        "metrics": [],
    }
    try:
        run = ask(python, as_run(environ, read), everything=True)
        alone = ask(python, by_environment(environ, read.wrong_variables), everything=False)
    except NoAnswer as error:
        findings.append(Finding(ERROR, f"{python[0]} is no Python 3 that runs programs ({error})"))
    else:
        findings += _judge(run, alone, python, words, environ)
        report |= _facts(run, alone)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    report["findings"] = [finding.as_json() for finding in findings]
    report["ok"] = all(finding.level != ERROR for finding in findings)
    return report


def _judge(
    run: "Answer",
    alone: "Answer",
    python: "Sequence[str]",
    words: "Sequence[str]",
    environ: "Mapping[str, str]",
) -> list[Finding]:
    findings = [*check_interpreter(run.facts["python"])]
    if any(finding.level == ERROR for finding in findings):
        return findings
    findings += check_attaching(Attaching(run, alone), run, alone, python, environ)
    findings += check_conflicts(run.facts, run.said, words, environ)
    if "failed" in run.facts:
        findings.append(
            Finding(ERROR, f"the agent there could not be asked ({run.facts['failed']})")
        )
    if "inside" in run.facts:
        findings += check_inside(run.facts["inside"], run.said)
    return findings


def _facts(run: "Answer", alone: "Answer") -> "dict[str, Any]":
    inside = run.facts.get("inside", {})
    for row in (*inside.get("loops", ()), *inside.get("instrumentations", ())):
        row["tested"] = range_of(row["library"])
        row["is_tested"] = is_tested(row["library"], row["version"])
    return {
        "interpreter": run.facts["python"] | {"flags": run.facts["flags"]},
        "attaching": Attaching(run, alone).as_json(),
        "sitecustomizes": sitecustomizes(run.facts),
        **inside,
    }


def _wants_colour() -> bool:
    """Unless NO_COLOR (https://no-color.org) or a dumb terminal says otherwise."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
