"""The engine: what runs for every event.

    patch -> create/enter/leave/resolve/end -> hooks in order, Lifetime -> ring -> sender thread

This is the plain Python engine, the specification.  A twin in C has the same names with the same
meaning; everything else in whence reaches the engine through them, and only through them:

- where we are: `execution_async_id`, `trigger_async_id`, `execution_async_resource`, `local.state`
  (the ThreadState), `new_async_id`, `restart_in_child`;
- hooks: `enable`, `disable`, `on_first_and_last`, `want_instrumentation`, `instrumented`,
  `set_hook_error_policy`, `hook_error_policy`;
- the transitions of a resource, for cold surfaces: `create`, `enter`, `leave`, `resolve`, `end`;
  `failed`, `conclude`, `describe`, `end_span`, `hide`, `make_root`; `open_scope`, `close_scope`;
  `Token`, `drain_collected`, `forget_collected`; `at_next_event`;
- the hot surfaces, imported when the program has imported asyncio: `handles.Handle`,
  `handles.TimerHandle`, `futures.Future`, and task steps inside them;
- where spans of the application meet ours: `look_for_user_spans`, `UserSpan`, `standing_for`,
  `place_now`, `give_way`, `give_up_kind`;
- which lifetimes become spans, where somebody chooses: `selected.select`; which traces are
  exported, and how much of them: `Tracer(max_spans, max_rate, wants)`;
- how its loops do: `execution.threads`, of each thread the ThreadState with `entered`, `busy` and
  `samples`; `measures`, `blocks.blocks`; `recorder.find_slow`; for the watchdog, which is in Python
  with either engine, `stacks.look` and `standstill`;
- which of the two it is: `NAME`;
- the recording: `recorder`, `open_lifetimes`, `ring`, `Tracer`, the Lifetime classes, and the
  table of `resource_types`.

What is not engine: which library is patched (instrumentation/), what an exporter makes of a
Lifetime (exporters/), settings, commands, and the public API around it (agent/).
"""

from . import twin
from .causes import Cause
from .dispatch import (
    disable,
    enable,
    hook_error_policy,
    instrumented,
    on_first_and_last,
    set_hook_error_policy,
    want_instrumentation,
)
from .events import (
    Token,
    announce,
    at_next_event,
    born,
    collected,
    create,
    drain_collected,
    end,
    enter,
    forget_collected,
    leave,
    resolve,
)
from .execution import (
    MakingHandle,
    ThreadState,
    execution_async_id,
    execution_async_resource,
    local,
    new_async_id,
    trigger_async_id,
)
from .forks import restart_in_child
from .giving_way import give_up_kind, give_way
from .lifetimes import (
    CANCELLED,
    CLOSED,
    COLLECTED,
    DONE,
    FAILED,
    OPEN,
    Lifetime,
    RecordedLifetime,
    Scope,
    SpanLifetime,
)
from .parents import look_for_user_spans, make_root, standing_for
from .places import Span, Trace, TraceIdentity
from .placing import place_now
from .recorder import clock, conclude, describe, end_span, failed, hide, open_lifetimes, recorder
from .ring import Ring, ring
from .scopes import close_scope, open_scope
from .sites import Site, site, skip_folder
from .traces import Tracer
from .user_spans import UserSpan

NAME = twin.C if twin.IN_C else twin.PYTHON

__all__ = [
    "CANCELLED",
    "CLOSED",
    "COLLECTED",
    "DONE",
    "FAILED",
    "NAME",
    "OPEN",
    "Cause",
    "Lifetime",
    "MakingHandle",
    "RecordedLifetime",
    "Ring",
    "Scope",
    "Site",
    "Span",
    "SpanLifetime",
    "ThreadState",
    "Token",
    "Trace",
    "TraceIdentity",
    "Tracer",
    "UserSpan",
    "announce",
    "at_next_event",
    "born",
    "clock",
    "close_scope",
    "collected",
    "conclude",
    "create",
    "describe",
    "disable",
    "drain_collected",
    "enable",
    "end",
    "end_span",
    "enter",
    "execution_async_id",
    "execution_async_resource",
    "failed",
    "forget_collected",
    "give_up_kind",
    "give_way",
    "hide",
    "hook_error_policy",
    "instrumented",
    "leave",
    "local",
    "look_for_user_spans",
    "make_root",
    "new_async_id",
    "on_first_and_last",
    "open_lifetimes",
    "open_scope",
    "place_now",
    "recorder",
    "resolve",
    "restart_in_child",
    "ring",
    "set_hook_error_policy",
    "site",
    "skip_folder",
    "standing_for",
    "trigger_async_id",
    "want_instrumentation",
]
