"""What this process can be asked, and the answers: plain data, in JSON.

Nobody's question changes anything.  In the thread that serves the socket.
"""

from collections.abc import Callable
from typing import Any

from ..live.snapshot import LIMIT, take
from ..live.why import why
from ..settings.config import Settings
from ..version import VERSION
from .about import about
from .by_site import by_site
from .protocol import MAX_ANSWER, MAX_QUESTION, decode, encode
from .pulse import pulse


class _Refused(Exception):
    """What was asked makes no sense: what was expected."""


def answer(line: bytes, settings: Settings) -> bytes:
    """The line that answers a line.  Never raises."""
    try:
        if len(line) > MAX_QUESTION:
            raise _Refused(f"expected a question of at most {MAX_QUESTION} bytes")
        question = _read(line)
        found = encode({"answer": QUESTIONS[question["ask"]](settings, question)})
        if len(found) > MAX_ANSWER:
            raise _Refused(f"the answer has more than {MAX_ANSWER} bytes: ask for fewer")
        return found
    except _Refused as error:
        return encode({"error": str(error)})
    except Exception as error:
        return encode({"error": f"whence failed to answer ({type(error).__name__}: {error})"})


def _read(line: bytes) -> dict[str, Any]:
    try:
        question = decode(line)
    except ValueError as error:
        raise _Refused(f"{error} (this process has whence {VERSION})") from None
    if question.get("ask") not in QUESTIONS:
        raise _Refused(f"expected a question out of {', '.join(QUESTIONS)}")
    return question


def _about(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return about(settings)


def _resources(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return take(limit=_limit(question)).as_dict()


def _dump(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return {
        "process": about(settings),
        **take(limit=_limit(question)).as_dict(),
        "by_site": by_site(),
    }


def _why(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    async_id = question.get("async_id")
    if async_id is not None and type(async_id) is not int:
        raise _Refused(f'expected an "async_id", not {async_id!r}')
    try:
        return why(take(deep=True), async_id).as_dict()
    except LookupError as error:
        raise _Refused(str(error)) from None


def _by_site(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return {"process": about(settings), "by_site": by_site()}


def _pulse(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return {"process": about(settings), **pulse()}


def _limit(question: dict[str, Any]) -> int:
    limit = question.get("limit", LIMIT)
    if type(limit) is not int or limit < 0:
        raise _Refused(f'expected a "limit" of 0 or more, not {limit!r}')
    return limit


QUESTIONS: dict[str, Callable[[Settings, dict[str, Any]], dict[str, Any]]] = {
    "about": _about,
    "resources": _resources,
    "by_site": _by_site,
    "pulse": _pulse,
    "why": _why,
    "dump": _dump,
}
"""What can be asked.

- `about`: which process it is, what its loops do, how many resources it has.
- `resources`: the live table, of at most `limit`.
- `by_site`: how many resources there are from each creation site, of all.
- `pulse`: counters that only grow, for who asks again and again and subtracts.
- `why`: what keeps the process alive and what is stuck; or of one resource, `async_id`.
- `dump`: all of it at one time."""
