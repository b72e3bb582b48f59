"""Server instrumentations that look whether the request is another's already.

Those for ASGI and WSGI make a SERVER span, with the remote parent of the request, where no span is
current, and else an INTERNAL one in what is current.  They mean a span of the application's: with
ours in view they would never make a SERVER span, and lose the remote parent.
"""

import sys
from _thread import get_ident
from typing import Any

from opentelemetry.instrumentation import utils

from .opentelemetry_context import deciding
from .patching import Patches, found

_DECIDES = "_start_internal_or_server_span"
_INSTRUMENTATIONS = "opentelemetry.instrumentation."


def install(patches: Patches) -> None:
    """Keep our spans out of their sight, in those too that have been imported before."""
    original = found(utils, _DECIDES)
    patches.wrap(utils, _DECIDES, _decide)
    for name, module in list(sys.modules.items()):
        imported = name.startswith(_INSTRUMENTATIONS) and module is not utils
        if imported and original is not None and vars(module).get(_DECIDES) is original:
            patches.wrap(module, _DECIDES, _decide)


def _decide(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    thread = get_ident()
    outermost = thread not in deciding
    deciding.add(thread)
    try:
        return wrapped(*args, **kwargs)
    finally:
        if outermost:
            deciding.discard(thread)
