"""What this process can be asked, and the answers: plain data, in JSON.

Nobody's question changes anything.  In the thread that serves the socket.

An answer may have a hundred thousand rows.  Each becomes text by itself, before the next is made,
and the program runs in between.
"""

import json
from collections.abc import Callable, Iterable
from time import thread_time
from typing import Any

from ..live.snapshot import looking, take
from ..live.wanted import LIMIT, SORTS, Wanted
from ..live.why import why
from ..settings.config import Settings
from ..version import VERSION
from .about import about
from .by_site import by_site
from .protocol import MAX_ANSWER, MAX_QUESTION, Texts, decode, encode, encode_answer
from .pulse import pulse

_as_text = json.JSONEncoder(separators=(",", ":"), default=str).encode


class _Refused(Exception):
    """What was asked makes no sense: what was expected."""


def answer(line: bytes, settings: Settings) -> Iterable[bytes]:
    """The line that answers a line, in parts.  Never raises."""
    try:
        if len(line) > MAX_QUESTION:
            raise _Refused(f"expected a question of at most {MAX_QUESTION} bytes")
        question = _read(line)
        found = QUESTIONS[question["ask"]](settings, question)
        return encode_answer(_fields(found))
    except _Refused as error:
        return [encode({"error": str(error)})]
    except Exception as error:
        return [encode({"error": f"whence failed to answer ({type(error).__name__}: {error})"})]


def _fields(found: dict[str, Any]) -> dict[str, Texts]:
    fields: dict[str, Texts] = {}
    room = MAX_ANSWER
    for name, value in found.items():
        texts = value if isinstance(value, Texts) else Texts([_as_text(value)], is_list=False)
        room -= texts.size
        if room < 0:
            raise _too_large()
        fields[name] = texts
    return fields


def _table(wanted: Wanted) -> dict[str, Any]:
    began = thread_time()
    with looking(wanted) as look:
        rows = Texts([], is_list=True)
        for resource in look.rows():
            rows.add(_as_text(resource.as_dict()))
            if rows.size > MAX_ANSWER:
                raise _too_large()
        rest = look.snapshot([]).as_dict()
    return {**rest, "resources": rows, "cost": thread_time() - began}


def _too_large() -> _Refused:
    return _Refused(f"the answer has more than {MAX_ANSWER} bytes: ask for fewer")


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
    return _table(_wanted(question))


def _dump(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    return {
        "process": about(settings),
        **_table(_wanted(question)),
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


def _wanted(question: dict[str, Any]) -> Wanted:
    limit = question.get("limit", LIMIT)
    if type(limit) is not int or limit < 0:
        raise _Refused(f'expected a "limit" of 0 or more, not {limit!r}')
    sort = question.get("sort", "")
    if sort and sort not in SORTS:
        raise _Refused(f'expected a "sort" out of {", ".join(SORTS)}, not {sort!r}')
    globs = {name: _globs(question, name) for name in ("types", "names", "states")}
    return Wanted(limit, **globs, steps=question.get("steps") is not False, sort=sort)


def _globs(question: dict[str, Any], name: str) -> tuple[str, ...]:
    globs = question.get(name, [])
    if type(globs) is not list or not all(type(glob) is str for glob in globs):
        raise _Refused(f'expected "{name}" to be a list of globs, not {globs!r}')
    return tuple(globs)


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
- `resources`: the live table: at most `limit` of what is of the `types`, `names` and `states`, not
  the `steps` if that is false, in the order of `sort`; see `whence.live.wanted`.  `cost` are the
  seconds of a processor's time that it took.
- `by_site`: how many resources there are from each creation site, of all.
- `pulse`: counters that only grow, for who asks again and again and subtracts.
- `why`: what keeps the process alive and what is stuck; or of one resource, `async_id`.
- `dump`: all of it at one time."""
