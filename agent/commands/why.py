"""`whence why`: why a process does not end, what in it is stuck, and where that came from."""

import json

from ..live.why_text import text_of
from ..serving.processes import the_process
from .showing import all_printable, wants_colour
from .words import Parser, add_json, add_process, whole

DESCRIPTION = """\
What keeps the process alive, and what in it can never go on, the likely culprits first; each with
the path that led there, a source line for each hop.  With an ID (of `whence ps PID`) why that
resource is there, and what it waits for.
"""


def main(words: list[str]) -> int:
    """Print; 0.  Raises UsageError, NoAnswer."""
    parser = Parser("why", DESCRIPTION)
    add_process(parser)
    parser.add_argument(
        "resource", metavar="ID", nargs="?", type=whole(2), help="of one of its resources"
    )
    add_json(parser)
    options = parser.parse_args(words)
    answer = the_process(options.process).ask("why", async_id=options.resource)
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        print(text_of(all_printable(answer), colour=wants_colour()))
    return 0
