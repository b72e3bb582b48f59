"""Attaching the agent to this process, and detaching it.

Start-up path of every attached process: imports nothing that the program did not.
"""

import atexit
import os
import sys

from . import ending, engine, recording
from .engine import handle_classes, twin
from .report import StartFacts, end_block, only_in, say, start_line, warn
from .sending import pipeline
from .serving import server
from .settings import environment
from .settings.config import (
    DEFAULT,
    SettingError,
    Settings,
    disabled_by,
    is_on,
    keyword_layer,
    resolve,
)
from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listening.trace_listener import TraceListener

_settings: Settings | None = None
_environment_asked = False
_says_end: int | None = None
"""The process that has a block printed at its end."""


def attach(**config: object) -> None:
    """Attach the agent to this process.

    The keywords are the settings of `whence run --help`, with underscores; what is not given comes
    from WHENCE_* and OTEL_* variables.  Does nothing if the agent is attached already, or switched
    off by WHENCE_DISABLED or OTEL_SDK_DISABLED.  Raises SettingError for a wrong value.
    """
    if _settings is None and disabled_by(os.environ) is None:
        _start(resolve(keyword_layer(config), environ=os.environ))


def detach() -> None:
    """Undo attach().  Does nothing if the agent is not attached."""
    global _settings
    if _settings is not None:
        server.stop()
        pipeline.stop()
        recording.stop()
        if pipeline.listeners():
            recording.start(_settings)
            pipeline.listen_on(_settings)
    _settings = None


def attached() -> bool:
    """Whether the agent is attached to this process."""
    return _settings is not None


def settings() -> Settings | None:
    """The settings of the attached agent."""
    return _settings


def listen(listener: "TraceListener") -> None:
    """Give a listener the traces that are finished from now on, attached or not."""
    if disabled_by(os.environ) is None:
        chosen = _settings or resolve(environ=os.environ)
        with pipeline.listening:
            if _settings is None and not pipeline.listeners():
                recording.start(chosen)
            pipeline.listen(listener, chosen)


def stop_listening(listener: "TraceListener") -> None:
    """Give a listener no more."""
    with pipeline.listening:
        if listener in pipeline.listeners():
            pipeline.stop_listening(listener)
            if _settings is None and not pipeline.listeners():
                recording.stop()


def flush_traces(timeout: float) -> None:
    """Give the listeners what is finished by now, waiting for so many seconds at the most."""
    pipeline.flush(timeout)


def attach_by_environment() -> None:
    """Attach as WHENCE_ATTACH and the other variables say.

    Called by site, before the program, in every process that inherits them.  Only the first call
    counts: the .pth file and our sitecustomize may both be there, and site may run either twice.
    Never raises: whatever goes wrong is one line on stderr, and the program runs without the agent.
    """
    global _environment_asked
    environ = os.environ
    if _environment_asked or not is_on(environ.get(environment.ATTACH)) or disabled_by(environ):
        return
    _environment_asked = True
    if environment.is_multiprocessing_helper(sys.orig_argv):
        return
    if environment.is_forkserver(sys.orig_argv):
        # The server itself runs no user code; the processes that it forks do.
        os.register_at_fork(after_in_child=_attach_child_of_forkserver)
        return
    _attach_quietly()


def _attach_child_of_forkserver() -> None:
    _attach_quietly()
    pipeline.stop_with_multiprocessing()


def _attach_quietly() -> None:
    try:
        if _settings is None:
            if not is_on(os.environ.get("WHENCE_VERBOSE")):
                only_in(environment.first_pid(os.environ))
            _attach_from_environment()
    except Exception as error:
        text = str(error) if isinstance(error, SettingError) else repr(error)
        warn(f"{text}; the program runs without the agent")


def _attach_from_environment() -> None:
    global _says_end
    environ = os.environ
    chosen = resolve(environ=environ)
    # An agent that nobody in the program asked for never ends somebody's server.
    engine.set_hook_error_policy("log")
    speaks = not chosen.quiet and (environment.is_run_process(environ) or chosen.verbose)
    if speaks and chosen.on_exit != "none":
        # Registered before the pipeline, so that it runs after the last span is sent.
        _says_end = os.getpid()
        atexit.register(_say_end, _says_end)
        if chosen.on_exit == "why":
            ending.want()
    _start(chosen)
    if speaks and environ.get(environment.STARTED) != str(os.getpid()):
        environ[environment.STARTED] = str(os.getpid())
        say(start_line(_start_facts(chosen)))
    if chosen.no_child:
        from whence.sitecustomize import FOLDER

        environment.leave_children_alone(environ, FOLDER)
    elif chosen.origin("service") == DEFAULT:
        # multiprocessing's spawn runs `python -c ...`, which has no name of its own.
        environ[environment.COMMAND] = chosen.service


def _start(chosen: Settings) -> None:
    global _settings
    _settings = chosen
    for complaint in (twin.complaint(), handle_classes.complaint()):
        if complaint:
            warn(complaint)
    recording.start(chosen)
    pipeline.start(chosen)
    server.start(chosen)
    if chosen.on_signal == "why":
        from . import on_signal

        on_signal.install()


def end_of_process() -> None:
    """What is done at exit, for a process that is about to end without its exit handlers."""
    server.stop()
    pipeline.stop()
    if _says_end is not None:
        _say_end(_says_end)


def _say_end(pid: int) -> None:
    # A fork inherits this; and with --no-child the environment no longer says who we are.
    if _settings is not None and (os.getpid() == pid or _settings.verbose):
        if _settings.on_exit == "why":
            found = ending.text()
            if found:
                say(found)
            return
        from .facts import end_facts

        say(end_block(end_facts(_settings)))


def _start_facts(chosen: Settings) -> StartFacts:
    from .engine.resource_types import known_types

    return StartFacts(
        version=VERSION,
        pid=os.getpid(),
        runtime=f"python/{sys.version_info.major}.{sys.version_info.minor}",
        engine=engine.NAME,
        service=chosen.service,
        types=sum(row.spans for row in known_types())
        if chosen.types is None
        else len(chosen.types),
        exports=[_destination(chosen, name) for name in chosen.export],
    )


def _destination(chosen: Settings, exporter: str) -> str:
    if exporter == "otlp":
        return f"otlp {chosen.text('endpoint')}"
    if exporter == "file":
        return f"file {chosen.output_path()}"
    return exporter
