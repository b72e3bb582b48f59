"""What is asked of the exporters where spans of the application meet ours.

Only for a program that has imported OpenTelemetry's SDK: what they need of it comes with them.
"""

from .. import attaching
from ..report import warn
from .exporting import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..engine import Span
    from ..settings.config import Settings

    class Splicing(Protocol):
        """Whether and how spans of the application and ours are in one tree.  Any thread."""

        def agrees(self, provider: object) -> bool:
            """Whether they may be, if this is the application's TracerProvider."""

        def context_of(self, place: Span) -> Any:
            """The SpanContext of a span of ours, which it keeps from now on."""


_SPLICING = "whence.exporters.splicing:Splicing"
_HALF_IMPORTED = "partially initialized module"
"""What Python says of a module that another one, or another thread, is still importing."""

_made: "tuple[Settings, Splicing | None] | None" = None


def splicing() -> "Splicing | None":
    """As the settings are now; None if no agent is attached that sends spans.  Never raises."""
    global _made
    chosen = attaching.settings()
    if chosen is None or chosen.export == ("none",):
        return None
    if _made is None or _made[0] is not chosen:
        try:
            _made = (chosen, load(_SPLICING)(chosen))
        except Exception as error:
            if _HALF_IMPORTED in str(error):
                # By the sender thread, at this very moment: it will be there the next time.
                return None
            # A version of the SDK that has what we need somewhere else, say.
            _made = (chosen, None)
            warn(f"OpenTelemetry's spans and ours are in trees of their own ({error!r})")
    return _made[1]
