"""Requests of which the application has a SERVER span of its own.

A reader wants a request once, so ours gives way: it becomes transparent, and what it triggered and
will trigger stands under the application's.  It comes back, as an INTERNAL span under that one, if
it has something to say that only it can.
"""

from .lifetimes import RecordedLifetime, SpanLifetime
from .recorder import hide
from .resource_types import REQUEST
from .user_spans import UserSpan

_INTERNAL = {"kind": "internal"}


def give_way(request: SpanLifetime, user: UserSpan) -> None:
    """Leave the request to the application's span of it."""
    hide(request)
    request.parent, request.link, request.links = user, None, None


def give_up_kind(request: SpanLifetime) -> None:
    """Leave no more than the kind SERVER to it: it stands under ours, which must stay."""
    request.attributes = {**(request.attributes or {}), **_INTERNAL}


def come_back(lifetime: RecordedLifetime) -> bool:
    """Be a span again, if it is one that gave way and is open; whether it is."""
    user = lifetime.parent
    gave_way = lifetime.type is REQUEST and lifetime.transparent and isinstance(user, UserSpan)
    if not gave_way or not lifetime.open or not isinstance(lifetime, SpanLifetime):
        return False
    assert user is not None
    give_up_kind(lifetime)
    lifetime.transparent = False
    user.children += 1
    return True
