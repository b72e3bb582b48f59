"""Wrappers as instrumentations have them: their code stands in whence's own folder, so that no
traceback shows them."""

from typing import Any

from whence.instrumentation import patching


def of_ours(source: str) -> Any:
    """The function `wrapper` of a source text."""
    names: dict[str, Any] = {}
    exec(compile(source, patching.__file__, "exec"), names)
    return names["wrapper"]


through = of_ours("""
def wrapper(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs)
""")
