"""The command line: one function for each verb, and the exit codes.

`whence run` becomes the program and has its code; before that, 2 is a usage error or a wrong value,
127 a program not found, 126 one that cannot be executed, each with one line on stderr.  Verbs that
ask running processes: 1 if there is no answer, or `diff` found what it was to find.
"""

import sys

from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE_ERROR = 2
NO_ANSWER = 1
INTERRUPTED = 130

HELP = """\
whence: where did this asynchronous work come from?

usage: whence run [options] [--] script.py | -m module | command ...
       whence env [options]
       whence doctor [options] [--json] [--] [python | script.py | command ...]
       whence demo [--seconds N] [--load CLIENTS] [--dashboard]
       whence dashboard [--port P] [--detach | --stop] [...]
       whence ps | tree | why | top | dump [PID] [options]
       whence diff A B
       whence --version | --help

  run     run a program with the agent attached; its output, signals and exit code stay its own
  env     show the settings, where each comes from, and how to attach by environment
  doctor  show what is in, what is not and why, before you deploy
  demo    run a shop under load, traced, and print what its slowest requests did
  dashboard   receive OTLP on this machine and show it on one page
  ps      list the processes that have the agent, or what one of them has open
  tree    what one has open, by what triggered it, or by who awaits whom
  why     why it does not end, what in it is stuck, and where that came from
  top     watch it: counts by type, rates, loop delay, blockers, the longest waits
  dump    write down what it has open; diff: what was added, gone and grown since

examples:
  whence run app.py --port 8000               the program's own options follow it
  whence run -m http.server                   a module
  whence run --service shop uvicorn app:app --workers 4
  whence run --export console --min-duration 5 app.py
  eval "$(whence env --service shop)"         attach every Python of this shell

`whence run --help` lists the options. Each is also a variable (--min-duration is
WHENCE_MIN_DURATION) and a key of [tool.whence] in pyproject.toml (min_duration).
"""

RUN_USAGE = "usage: whence run [options] [--] script.py | -m module | command ...\n\n"
ENV_USAGE = "usage: whence env [options]\n\n"
DOCTOR_USAGE = """\
usage: whence doctor [options] [--json] [--] [python | venv | script.py | -m module | command ...]

Examines the Python that runs the program, or this one: the agent attaches there, every library is
imported, tasks run on the loops, and the exporters' destinations are asked.  -v names every patched
attribute.  The exit code is 1 if something is wrong; that nobody answers is a warning.

"""


def main(argv: "Sequence[str] | None" = None) -> int:
    """The command `whence`: does what the words say and returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words:
        print(HELP, end="", file=sys.stderr)
        return USAGE_ERROR
    verb, rest = words[0], words[1:]
    if verb in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if verb in ("-V", "--version"):
        print(f"whence {VERSION}")
        return 0
    if verb not in VERBS:
        hint = "" if verb.startswith("-") else f" (to run a program: whence run {verb})"
        return _fail("whence", f"expected a command out of {', '.join(VERBS)}, not {verb!r}{hint}")
    return VERBS[verb](rest)


def agent_main() -> int:
    """The command `whence-agent`, which is `whence run`."""
    return run(sys.argv[1:])


def run(words: "Sequence[str]") -> int:
    """`whence run`."""
    from .settings.arguments import HelpWanted, UsageError, options_help, read_options
    from .settings.config import SettingError

    try:
        options, program = read_options(words)
        if not program:
            raise UsageError("expected a program: script.py, -m module or a command")
        from .commands.run import CannotRun, run

        try:
            return run(options, program)
        except CannotRun as error:
            return _fail("whence run", str(error), error.code)
    except HelpWanted:
        print(RUN_USAGE + options_help(), end="")
        return 0
    except (UsageError, SettingError) as error:
        return _fail("whence run", str(error))


def env(words: "Sequence[str]") -> int:
    """`whence env`."""
    from .commands.env import describe
    from .settings.arguments import HelpWanted, UsageError, options_help, read_options
    from .settings.config import SettingError

    try:
        options, rest = read_options(words)
        if rest:
            raise UsageError(f"expected options only, not {rest[0]!r}")
        print(describe(options), end="")
    except HelpWanted:
        print(ENV_USAGE + options_help(), end="")
    except (UsageError, SettingError) as error:
        return _fail("whence env", str(error))
    return 0


def doctor(words: "Sequence[str]") -> int:
    """`whence doctor`."""
    from .commands.run import CannotRun
    from .settings.arguments import HelpWanted, UsageError, options_help, read_options
    from .settings.config import SettingError

    own = words[: words.index("--")] if "--" in words else words
    as_json = "--json" in own
    try:
        options, program = read_options(
            [word for word in own if word != "--json"] + list(words[len(own) :])
        )
        from .doctor import doctor

        return doctor(options, program, as_json=as_json)
    except HelpWanted:
        print(DOCTOR_USAGE + options_help(), end="")
        return 0
    except (UsageError, SettingError, CannotRun) as error:
        return _fail("whence doctor", str(error))


def demo(words: "Sequence[str]") -> int:
    """`whence demo`."""
    from whence.examples.demo.command import main

    return main(words)


def _asking(verb: str) -> "Callable[[Sequence[str]], int]":
    """A verb that asks running processes, in a file of its name."""

    def ask(words: "Sequence[str]") -> int:
        from importlib import import_module

        from .serving.asking import NoAnswer
        from .settings.arguments import UsageError

        try:
            code = import_module(f".commands.{verb}", __package__).main(list(words))
            sys.stdout.flush()
            return int(code)
        except UsageError as error:
            return _fail(f"whence {verb}", str(error))
        except NoAnswer as error:
            return _fail(f"whence {verb}", str(error), NO_ANSWER)
        except BrokenPipeError:
            # Who reads it has read enough, as `head` does; Python must not flush to it at its end.
            sys.stdout = None
            return 0
        except KeyboardInterrupt:
            return INTERRUPTED

    return ask


ASKING = ("ps", "tree", "why", "top", "dump", "diff")


def dashboard(words: "Sequence[str]") -> int:
    """`whence dashboard`."""
    from whence.dashboard.command import main

    return main(words)


VERBS = {"run": run, "env": env, "doctor": doctor, "demo": demo, "dashboard": dashboard} | {
    verb: _asking(verb) for verb in ASKING
}


def _fail(command: str, text: str, code: int = USAGE_ERROR) -> int:
    print(f"{command}: {text}", file=sys.stderr)
    return code
