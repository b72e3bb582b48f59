"""What a person reads on stderr: one line at the start, one block at the end.

Pure functions from facts to text, and `say`, which prints it.  Nothing ever goes to stdout, which
is the program's.  Start-up path: imports nothing heavy.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_OPEN_LINES = 10
"""Lines about what stayed open; what follows is counted."""

_INDENT = " " * len("whence: ")


class StartFacts:
    """What the start line says.

    `runtime` is loop and Python, such as `asyncio/3.12`, `engine` the one that runs; `types` counts
    those that become spans; `exports` says for each exporter where it sends, such as
    `otlp http://localhost:4318`.
    """

    __slots__ = ("engine", "exports", "hint", "pid", "runtime", "service", "types", "version")

    def __init__(
        self,
        *,
        version: str,
        pid: int,
        runtime: str,
        engine: str,
        service: str,
        types: int,
        exports: "Sequence[str]",
        hint: str = "",
    ) -> None:
        self.version = version
        self.pid = pid
        self.runtime = runtime
        self.engine = engine
        self.service = service
        self.types = types
        self.exports = exports
        self.hint = hint


class Block:
    """The callback that held the loop the longest: how long, where it is and what it is called."""

    __slots__ = ("name", "seconds", "site")

    def __init__(self, seconds: float, site: str, name: str) -> None:
        self.seconds = seconds
        self.site = site
        self.name = name


class EndFacts:
    """What the end block says.

    `open` holds one chain for each resource still open: itself, then its causes, the nearest first,
    each as text (`TimerHandle app.py:88`).  `dropped`, `over_rate`, `over_spans` (of one trace) and
    `unsampled` are spans that were not exported.  `where` are places to look: a word and a text.
    """

    __slots__ = (
        "created",
        "dropped",
        "never_settled",
        "open",
        "over_rate",
        "over_spans",
        "problems",
        "unsampled",
        "where",
        "worst_block",
    )

    def __init__(
        self,
        *,
        created: int,
        open: "Sequence[tuple[str, ...]]" = (),
        never_settled: int = 0,
        worst_block: Block | None = None,
        dropped: int = 0,
        over_rate: int = 0,
        over_spans: int = 0,
        unsampled: int = 0,
        problems: "Sequence[str]" = (),
        where: "Sequence[tuple[str, str]]" = (),
    ) -> None:
        self.created = created
        self.open = open
        self.never_settled = never_settled
        self.worst_block = worst_block
        self.dropped = dropped
        self.over_rate = over_rate
        self.over_spans = over_spans
        self.unsampled = unsampled
        self.problems = problems
        self.where = where


def start_line(facts: StartFacts) -> str:
    """The line that says that the agent is there, and what it does."""
    parts = [
        f"whence {facts.version}",
        f"pid {facts.pid}",
        facts.runtime,
        f"engine={facts.engine}",
        f"service={facts.service}",
        _count(facts.types, "type"),
        *facts.exports,
    ]
    if facts.hint:
        parts.append(facts.hint)
    return "  ".join(parts)


def end_block(facts: EndFacts) -> str:
    """The lines that say what stayed open, what never settled, what blocked, and where to look."""
    summary = [_count(facts.created, "resource")]
    if facts.open:
        summary.append(f"{_number(len(facts.open))} still open")
    if facts.never_settled:
        summary.append(f"{_count(facts.never_settled, 'future')} never settled")
    if facts.worst_block is not None:
        block = facts.worst_block
        summary.append(f"worst block {_milliseconds(block.seconds)} {block.site} ({block.name})")
    if facts.dropped:
        summary.append(f"{_count(facts.dropped, 'span')} dropped")
    if facts.over_rate:
        summary.append(f"{_count(facts.over_rate, 'span')} over --max-rate")
    if facts.over_spans:
        summary.append(f"{_count(facts.over_spans, 'span')} over --max-spans")
    if facts.unsampled:
        summary.append(f"{_count(facts.unsampled, 'span')} not sampled")
    rows = [("open", line) for line in _open_lines(facts.open)]
    rows += [("failed", problem) for problem in facts.problems]
    rows += facts.where
    width = max((len(word) for word, _ in rows), default=0)
    lines = [f"{_INDENT}{word:<{width}}  {text}" for word, text in rows]
    return "\n".join(["whence: " + ", ".join(summary), *lines])


def say(text: str) -> None:
    """Print to the process's own stderr, whatever the program made of sys.stderr.

    Never raises: a closed or full stderr is no reason to disturb the program.
    """
    stream = sys.__stderr__
    if stream is None:
        return
    try:
        # In one call, past any buffer: the lines of several processes do not mix, and nothing that
        # could not be written comes out later.
        os.write(stream.fileno(), f"{text}\n".encode(errors="backslashreplace"))
    except (OSError, ValueError):
        pass


_only_pid: int | None = None


def warn(text: str) -> None:
    """One line about something that went wrong in the agent; the program runs on.

    Of all the processes that attached one after the other, the first one says it: what is wrong for
    it is wrong for its children, whose stderr the program may well be reading."""
    if _only_pid is None or _only_pid == os.getpid():
        say("whence: " + " ".join(text.split()))


def only_in(pid: int) -> None:
    """Let no other process warn: not this one, if it is not that one, nor what it forks."""
    global _only_pid
    _only_pid = pid


def _open_lines(chains: "Sequence[tuple[str, ...]]") -> list[str]:
    """One line for each different chain, the most frequent first."""
    counts: dict[tuple[str, ...], int] = {}
    for chain in chains:
        counts[chain] = counts.get(chain, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    lines = [
        " <- ".join(chain) + (f"  ({_number(count)} times)" if count > 1 else "")
        for chain, count in ranked[:MAX_OPEN_LINES]
    ]
    rest = sum(count for _, count in ranked[MAX_OPEN_LINES:])
    if rest:
        lines.append(f"and {_number(rest)} more")
    return lines


def _milliseconds(seconds: float) -> str:
    return f"{_number(round(seconds * 1000))} ms"


def _count(count: int, noun: str) -> str:
    return f"{_number(count)} {noun}{'' if count == 1 else 's'}"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
