"""Whether the agent attaches: under `whence run`, and by the environment alone."""

import os

from whence.sitecustomize import FOLDER

from ..settings.config import is_on
from ..settings.environment import ATTACH, PYTHONPATH
from ..version import VERSION
from .findings import ERROR, NOTE, WARNING, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from .asking import Answer

PTH = "whence.pth"
RUN = "whence run"
ALONE = f"{ATTACH}=1"

_BY_PTH = PTH
_BY_FOLDER = f"sitecustomize on {PYTHONPATH}"


class Attaching:
    """What came of attaching in two ways, each tried in a process of its own."""

    __slots__ = ("alone", "alone_by", "run", "run_by", "why_not")

    def __init__(self, run: "Answer", alone: "Answer") -> None:
        self.run = run.facts["attached"]
        self.run_by = _way(run.facts)
        self.alone = alone.facts["attached"]
        self.alone_by = _way(alone.facts)
        self.why_not = "" if self.run else _why_not(run)

    def as_json(self) -> "dict[str, Any]":
        """Both ways."""
        return {
            RUN: {"attaches": self.run, "by": self.run_by if self.run else None},
            ALONE: {"attaches": self.alone, "by": self.alone_by if self.alone else None},
        }


def _way(facts: "dict[str, Any]") -> str:
    """Site runs the .pth files first."""
    return _BY_PTH if _pth_files(facts) else _BY_FOLDER


def _pth_files(facts: "dict[str, Any]") -> list[str]:
    if facts["flags"]["no_site"]:
        return []
    files = (os.path.join(folder, PTH) for folder in facts["site_packages"])
    return [file for file in files if os.path.isfile(file)]


def _why_not(answer: "Answer") -> str:
    facts = answer.facts
    if facts["flags"]["no_site"]:
        return "-S keeps site from running"
    if "error" in facts["whence"]:
        if facts["whence"]["error"].startswith("ModuleNotFoundError: No module named 'whence'"):
            return "whence is not installed for it"
        return f"whence cannot be imported ({facts['whence']['error']})"
    if _ignores_environment(facts) and not _pth_files(facts):
        return f"-I and -E keep {PYTHONPATH} from being read, and there is no {PTH}"
    return next((line for line in answer.said if line.startswith("whence: ")), "")


def _ignores_environment(facts: "dict[str, Any]") -> bool:
    return bool(facts["flags"]["isolated"] or facts["flags"]["ignore_environment"])


def check_attaching(
    attaching: Attaching,
    run: "Answer",
    alone: "Answer",
    python: "Sequence[str]",
    environ: "Mapping[str, str]",
) -> "Iterator[Finding]":
    """Whether it does, and whether it is the whence that one expects."""
    facts = run.facts
    if not attaching.run:
        yield Finding(
            ERROR,
            f"{RUN} does not attach to this Python",
            attaching.why_not,
            _remedy(facts, python),
        )
        return
    if not attaching.alone:
        asked_for = is_on(environ.get(ATTACH))
        yield Finding(
            ERROR if asked_for else NOTE,
            f"{ALONE} alone does not attach",
            f"{_no_pth(facts)}, and whence's folder is not on {PYTHONPATH}",
            f"add {FOLDER} to {PYTHONPATH}",
        )
    if not _pth_files(facts) and not _is_installed(facts):
        yield Finding(
            NOTE,
            f"whence is not installed for this Python: the one in {_place(facts)} attaches",
            "its dependencies come from there, after all that is installed",
        )
    version = facts["whence"].get("version")
    if version != VERSION:
        yield Finding(
            WARNING,
            f"whence {version} attaches there, and this is {VERSION}",
            "settings may differ",
            "run the doctor of that environment",
        )


def _place(facts: "dict[str, Any]") -> str:
    """The folder that the attached whence was found in."""
    file: str = facts["whence"]["file"]
    return os.path.dirname(os.path.dirname(file))


def _is_installed(facts: "dict[str, Any]") -> bool:
    return _place(facts) in facts["site_packages"]


def _no_pth(facts: "dict[str, Any]") -> str:
    return f"there is no {PTH} in its site-packages" if not _pth_files(facts) else f"{PTH} fails"


def _remedy(facts: "dict[str, Any]", python: "Sequence[str]") -> str:
    if facts["flags"]["no_site"]:
        return "leave -S out, or call whence.attach()"
    return f"{python[0]} -m pip install whence"
