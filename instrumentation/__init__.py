"""Instrumentations: each knows one library and turns its life into events.

An instrumentation is a module with one function::

    def install(patches: Patches) -> None:
        patches.wrap(SomeClass, "method", _method)

It is called when its library has been imported and a hook is enabled.  It writes no code to undo
itself: `Patches` puts the original objects back.  What it tells the engine is `create`, `enter`,
`leave`, `resolve` and `end` of `whence.engine`; it keeps no strong reference to the program's
objects, and its frames appear in no traceback of the program's.

Where a library hides something, the module says so in `IMPOSSIBLE`, a mapping of what cannot be
shown to the reason; `whence doctor` prints it.

To add one: a file here, a line in `INSTRUMENTATIONS` of agent/instrumenting.py, a test.  From
another distribution: an entry point in the group `whence.instrumentation`, named as the library's
module, that gives such a module.
"""
