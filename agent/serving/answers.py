"""What this process can be asked, and the answers: plain data, in JSON.

Nobody's question changes anything.  In the thread that serves the socket.

An answer may have a hundred thousand rows.  Each becomes text by itself, and the program runs in
between: made in one go they would hold the loop, and as objects all at once they would be so many
that the collector looks through everything.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..live.active_resource import ActiveResource
from ..live.pace import Pace
from ..live.snapshot import LIMIT, Snapshot, take
from ..live.why import why
from ..settings.config import Settings
from ..version import VERSION
from .about import about
from .by_site import by_site
from .protocol import MAX_ANSWER, MAX_QUESTION, decode, encode, encode_answer
from .pulse import pulse


class _Rows:
    """Resources that become JSON one by one."""

    def __init__(self, resources: list[ActiveResource]) -> None:
        self._resources = resources

    def texts(self) -> Iterator[str]:
        """Each as JSON."""
        pace = Pace()
        for resource in self._resources:
            yield _as_text(resource.as_dict())
            pace.breathe()


class _Refused(Exception):
    """What was asked makes no sense: what was expected."""


def answer(line: bytes, settings: Settings) -> bytes:
    """The line that answers a line.  Never raises."""
    try:
        if len(line) > MAX_QUESTION:
            raise _Refused(f"expected a question of at most {MAX_QUESTION} bytes")
        question = _read(line)
        found = QUESTIONS[question["ask"]](settings, question)
        return encode_answer(_fields(found))
    except _Refused as error:
        return encode({"error": str(error)})
    except Exception as error:
        return encode({"error": f"whence failed to answer ({type(error).__name__}: {error})"})


def _fields(answer: dict[str, Any]) -> dict[str, str]:
    """The fields of an answer, each as JSON."""
    fields: dict[str, str] = {}
    size = 0
    for name, value in answer.items():
        texts = []
        for text in value.texts() if isinstance(value, _Rows) else (_as_text(value),):
            texts.append(text)
            size += len(text)
            if size > MAX_ANSWER:
                raise _Refused(f"the answer has more than {MAX_ANSWER} bytes: ask for fewer")
        fields[name] = f"[{','.join(texts)}]" if isinstance(value, _Rows) else texts[0]
    return fields


def _as_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _table(snapshot: Snapshot) -> dict[str, Any]:
    rest = snapshot._replace(resources=[]).as_dict()
    return {**rest, "resources": _Rows(snapshot.resources)}


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
    return _table(take(limit=_limit(question)))


def _dump(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return {
        "process": about(settings),
        **_table(take(limit=_limit(question))),
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
