"""The application's own spans and ours in one tree.

OpenTelemetry's API keeps what is current, its *context*, in a runtime context.  Ours stands before
the one that the program has chosen:

- *Ours for the application.*  Who reads the context while a resource executes finds our span of
  that resource to be the current one.  It is put in when it is read and at no other time, so what
  never reads costs nothing; and it has no ids until somebody asks for them.
- It stands before a span of the application's that was current outside of the resource.  What the
  program tells the current span is still told to that, as if ours were not there.
- What was attached while the resource executed is what the program wants there: it stays, whatever
  it is.  So every context that is attached carries the id of what executed.
- Not in a container, where the program reads what it had when it began to listen.  Not where it
  would tear a span of the application that still goes on from what is done inside of it.  Not
  where our spans and the application's do not go together (`whence.sending.splicing`).
- *The application's for us.*  A new resource asks for the span that was made current since what
  executes began: its parent, or link (`whence.engine.parents`).
- A request of which an instrumentation makes a SERVER span is in the trace once: ours gives way,
  and what it triggered and will trigger stands under theirs.  Where ours is the parent of theirs
  already, it is no SERVER any more.

Nothing here may fail, or keep anything of the program's for longer than it would be.
"""

import sys
from _thread import get_ident
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context, _RuntimeContext
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    SpanKind,
)

from whence.deferral import when_imported
from whence.engine import (
    Lifetime,
    SpanLifetime,
    TraceIdentity,
    UserSpan,
    give_up_kind,
    give_way,
    local,
    look_for_user_spans,
    standing_for,
)
from whence.engine.resource_types import REQUEST
from whence.sending.splicing import splicing

from .opentelemetry_spans import ResourceSpan
from .patching import Patches

_SDK = "opentelemetry.sdk.trace"
_MAX_CLASSES = 100
(_SPAN_KEY,) = trace.set_span_in_context(INVALID_SPAN, Context())

deciding: set[int] = set()
"""Threads in which an instrumentation looks whether there is a span of the application's."""


def install(patches: Patches) -> None:
    """Stand before the program's runtime context."""
    own = context_api._RUNTIME_CONTEXT
    if isinstance(own, SplicingContext):
        own = own.own
    ours = SplicingContext(own)
    patches.on_undo(ours.stop)
    patches.replace(context_api, "_RUNTIME_CONTEXT", ours)
    when_imported(_SDK, _load_early)


def _load_early() -> None:
    """While the program imports, and not in the first request that it serves."""
    if not local.state.muted:
        # Else it is our own thread that imports, and what is to be loaded may be half there.
        splicing()


class Attached(Context):
    """A context that the program has attached, and in what.

    A copy: it is what the program will read once the agent is detached."""

    __slots__ = ("original", "owner", "span", "user")

    original: Context
    owner: int
    """The id of what executed."""
    span: Span | None
    """The application's, if there is one in it."""
    user: UserSpan | None
    """The same for the engine, once something was triggered in it."""


class SplicingContext(_RuntimeContext):
    """A runtime context that shows our spans where the program has made none current."""

    def __init__(self, own: _RuntimeContext) -> None:
        """`own` is what the program has chosen."""
        self.own = own
        self._stopped = False
        self._looked_for = False
        self._read: Callable[[], Context] = own.get_current
        variable = getattr(own, "_current_context", None)
        if type(own) is ContextVarsRuntimeContext and type(variable) is ContextVar:
            # What every new resource asks for is asked for without a frame.
            self._read = variable.get

    def stop(self) -> None:
        """Show nothing more of ours."""
        self._stopped = True
        look_for_user_spans(None)

    def attach(self, context: Context) -> Token[Context]:
        """Make a context current; gives the token to detach it with."""
        noted = context
        if not self._stopped:
            try:
                noted = self._noted(context)
            except Exception:
                """The program's own runtime context says what it thinks of it."""
        return self.own.attach(noted)

    def detach(self, token: Token[Context]) -> None:
        """Make the context current that was before."""
        self.own.detach(token)

    def get_current(self) -> Context:
        """The current context, with our span in it if the program made none current here."""
        base = self._read()
        executing: Any = local.state.current
        if type(base) is Attached:
            if base.owner == executing.async_id and not deciding:
                return base.original
            original = base.original
        else:
            if not executing.created:
                return base
            original = base
        if self._stopped:
            return original
        try:
            if deciding and get_ident() in deciding:
                return _without_ours(original)
            if executing.transparent and _is_attached_in(base, executing):
                return original
            return self._spliced(original, executing)
        except Exception:
            return original

    def _noted(self, context: Context) -> Context:
        executing = local.state.current
        span: Any = context.get(_SPAN_KEY)
        if type(span) is ResourceSpan:
            if span.lifetime is not _shown_in(executing):
                # Brought here from another resource, in which ours was current.
                return context
            span = None
        elif not _is_span(span):
            span = None
        elif _is_right_under(_shown_in(executing), span):
            # Brought along with a job, say, to be current in it too: the job is under it.
            return context
        if span is None and not executing.created:
            return context
        noted = Attached(context)
        noted.original, noted.owner = context, executing.async_id
        noted.span, noted.user = span, None
        if span is not None:
            if not self._looked_for:
                # Before the first there is nothing to look for.
                self._looked_for = True
                look_for_user_spans(self._user_span_in)
            if executing.type is REQUEST:
                self._let_give_way(executing, noted)
        return noted

    def _spliced(self, original: Context, executing: Lifetime) -> Context:
        shown = executing if type(executing) is SpanLifetime else None
        if shown is None or shown.transparent or shown.type.container:
            shown = _shown_in(executing)
            if shown is None:
                return original
        known = getattr(shown, "spliced", None)
        # A segment that begins is of another trace: then what is shown is looked at again.
        segments = shown.segments and shown.segments.start
        if known and known[0] is original and known[1] == segments:
            spliced: Context = known[2]
            return spliced
        covered: Any = original.get(_SPAN_KEY, INVALID_SPAN)
        if type(covered) is ResourceSpan:
            covered = covered.covered
        if not _together() or not _is_span(covered) or _tears(shown, covered):
            return original
        span = known[3] if known else None
        if span is None or span.covered is not covered:
            span = ResourceSpan(shown, covered)
        spliced = Context({**original, _SPAN_KEY: span})
        shown.spliced = (original, segments, spliced, span)
        return spliced

    def _user_span_in(self, executing: Lifetime) -> UserSpan | None:
        base = self._read()
        if type(base) is not Attached or base.span is None:
            return None
        if not _is_attached_in(base, executing):
            return None
        try:
            return _refreshed(base, executing)
        except Exception:
            return None

    def _let_give_way(self, request: Lifetime, noted: Attached) -> None:
        span = noted.span
        assert span is not None
        if not isinstance(request, SpanLifetime) or request.transparent or not _together():
            return
        context = span.get_span_context()
        is_server = getattr(span, "kind", None) is SpanKind.SERVER
        is_left_out = not is_server and not context.is_remote and not context.trace_flags.sampled
        if not context.is_valid or not (is_server or is_left_out):
            return
        if request.span is not None:
            if is_server:
                give_up_kind(request)
            return
        user = _refreshed(noted, request)
        if user is not None:
            give_way(request, user)


def _together() -> bool:
    """Whether the application has a provider whose spans go together with ours."""
    sdk = sys.modules.get(_SDK)
    # Not `get_tracer_provider()`, which may make one.
    provider = getattr(trace, "_TRACER_PROVIDER", None)
    if sdk is None or provider is None:
        return False
    asked = splicing()
    return asked is not None and asked.agrees(provider)


def _shown_in(executing: Lifetime) -> SpanLifetime | None:
    """What is to be seen as the current span where this executes."""
    lifetime = executing.parent if executing.transparent else executing
    shown, _ = standing_for(lifetime)  # type: ignore[arg-type]
    if shown is None or shown.type.container or isinstance(shown, UserSpan):
        return None
    return shown


def _is_attached_in(base: Context, executing: Lifetime) -> bool:
    """Whether the program made it current in what executes, or in that of which it is a step."""
    if type(base) is not Attached:
        return False
    if base.owner == executing.async_id:
        return True
    above = executing.parent if executing.transparent else None
    return above is not None and base.owner == above.async_id


_span_classes: set[type] = set()
"""Classes that have been asked; the question takes longer than all else here."""


def _is_span(candidate: object) -> bool:
    if type(candidate) in _span_classes:
        return True
    if not isinstance(candidate, Span):
        return False
    if len(_span_classes) < _MAX_CLASSES:
        _span_classes.add(type(candidate))
    return True


def _without_ours(original: Context) -> Context:
    if type(original.get(_SPAN_KEY)) is not ResourceSpan:
        return original
    return Context({key: value for key, value in original.items() if key != _SPAN_KEY})


def _is_right_under(shown: SpanLifetime | None, span: Span) -> bool:
    """Whether the application's span is the parent of what is shown."""
    if shown is None:
        return False
    parent, _ = standing_for(shown.parent)
    if not isinstance(parent, UserSpan) or parent.span is None:
        return False
    above, context = parent.span.context, span.get_span_context()
    same: bool = (above.trace_id, above.span_id) == (context.trace_id, context.span_id)
    return same


def _tears(shown: SpanLifetime, theirs: Span) -> bool:
    """Whether our span would tear what is done here from a span of the application above it."""
    context = theirs.get_span_context()
    if not context.is_valid or _is_of_trace(shown, context.trace_id):
        return False
    if context.is_remote or not _has_ended(theirs):
        return True
    # What was current when this began to listen, say: what is done here never was a part of it.
    ours = ResourceSpan(shown, theirs).get_span_context()
    return ours.trace_flags.sampled != context.trace_flags.sampled


def _is_of_trace(shown: SpanLifetime | None, trace_id: int) -> bool:
    """Whether a resource's span is of this trace, without asking for its ids."""
    lifetime, child = shown, shown
    while lifetime is not None and child is not None:
        place = lifetime.span
        if lifetime.segments is not None and lifetime is not child:
            place = lifetime.segments.at(child.created)
        if place is not None:
            known = place.context or place.trace.identity
            if known is not None:
                of_it: bool = known.trace_id == trace_id
                return of_it
        if lifetime.segments is not None:
            # Each segment roots a trace.
            return False
        child = lifetime
        lifetime, _ = standing_for(lifetime.parent)
    return False


def _refreshed(noted: Attached, executing: Lifetime) -> UserSpan | None:
    """What the engine is to know of the application's span; None if it is nobody's business."""
    span = noted.span
    assert span is not None
    context = span.get_span_context()
    if not isinstance(context, SpanContext) or not context.is_valid:
        noted.span = None
        return None
    user = noted.user
    if user is None:
        within = _shown_in(executing)
        if not _is_of_trace(within, context.trace_id):
            within = None
        identity = TraceIdentity(
            context.trace_id,
            context.trace_flags,
            context.trace_state or None,
            sampled=context.trace_flags.sampled,
        )
        user = noted.user = UserSpan(identity, context, within, remote=context.is_remote)
    user.goes_on = not _has_ended(span)
    user.leads = context.is_remote or (user.goes_on and _together())
    return user if user.leads or context.trace_flags.sampled else None


def _has_ended(span: Span) -> bool:
    """One that does not record may just not be sampled."""
    return not span.is_recording() and getattr(span, "end_time", None) is not None
