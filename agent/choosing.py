"""The engine is imported here, before anything that uses it; where the one in C fails, once more in
Python.

What may be wrong with it: it was built from other sources than those that lie beside it, or for a
Python whose structures are not those of this one.  Nothing has an id by then, and no module outside
`whence.engine` has taken anything from it: so the first import can be forgotten.
"""

import sys
from importlib import import_module

ENGINE = f"{__package__}.engine"
TWIN = f"{ENGINE}.twin"


def import_engine() -> None:
    """Import `whence.engine`."""
    why = ""
    try:
        import_module(ENGINE)
    except Exception as error:
        twin = sys.modules.get(TWIN)
        if twin is None or not twin.IN_C:
            raise
        why = twin.on_one_line(error)
    else:
        twin = sys.modules[TWIN]
        if twin.IN_C:
            why = import_module(f"{ENGINE}.self_test").failure()
    if why:
        twin.give_up(why)
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{ENGINE}.")]:
            if name != TWIN:
                del sys.modules[name]
        import_module(ENGINE)
