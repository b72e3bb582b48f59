"""Our span of a resource, as the application finds it among its own.

It is one to be a parent, to be written in logs and to be carried to other services.  It takes
nothing: what the program tells the current span is told to the one that it would find without us.
It has no ids until somebody asks.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, Span, SpanContext

from whence.engine import SpanLifetime, place_now, standing_for
from whence.sending.splicing import splicing


class ResourceSpan(NonRecordingSpan):
    """Our span of a resource, as the application sees it."""

    def __init__(self, lifetime: SpanLifetime, covered: Span) -> None:
        """`covered` is what the application would see without us."""
        super().__init__(INVALID_SPAN_CONTEXT)
        self.lifetime = lifetime
        self.covered = covered
        self._known: tuple[object, SpanContext] | None = None
        """Its place, and its ids there."""

    def get_span_context(self) -> SpanContext:
        """Its ids; from now on it has them, and will be exported."""
        known = self._known
        # A segment that ends is followed by one with ids of its own.
        if known is not None and known[0] is self.lifetime.span:
            return known[1]
        try:
            return self._asked()
        except Exception:
            return INVALID_SPAN_CONTEXT

    def _asked(self) -> SpanContext:
        lifetime: SpanLifetime | None = self.lifetime
        asked = splicing()
        if asked is None:
            return INVALID_SPAN_CONTEXT if self._known is None else self._known[1]
        while lifetime is not None:
            place = place_now(lifetime)
            if place is not None:
                context: SpanContext = asked.context_of(place)
                self._known = (place, context)
                return context
            # It has ended, and left nothing but what stands for it.
            lifetime, _ = standing_for(lifetime.parent)
        return INVALID_SPAN_CONTEXT

    def __getattr__(self, name: str) -> Any:
        # Such as `name` and `attributes`, which only a span of the SDK has.
        if name.startswith("_") or name == "covered":
            raise AttributeError(name)
        return getattr(self.covered, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()!r})"


def _telling(name: str) -> Callable[..., Any]:
    """A method that is the covered span's."""

    @wraps(getattr(Span, name))
    def tell(self: ResourceSpan, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.covered, name)(*args, **kwargs)

    return tell


for _name in (
    "add_event",
    "add_link",
    "end",
    "is_recording",
    "record_exception",
    "set_attribute",
    "set_attributes",
    "set_status",
    "update_name",
):
    setattr(ResourceSpan, _name, _telling(_name))
