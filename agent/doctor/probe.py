"""What `whence doctor` has the examined Python run: the text of its `python -c`.

It runs on any Python 3, with whence or without, and with what a user's site may have done.  Rules:
standard library alone, old syntax, and look before importing: what is loaded is a fact to report.
The answer is the last line of output, after a mark that no program prints.
"""

import sys

_LOADED = sorted(sys.modules)

MARK = "whence doctor answers: "
EVERYTHING = "everything"
"""The argument that asks for all that an attached process knows, not only for what is here."""


def main() -> None:
    """Print the answer."""
    import importlib
    import json
    import os

    facts = {
        "python": _python(),
        "flags": {name: bool(getattr(sys.flags, name, False)) for name in _FLAGS},
        "loaded": _LOADED,
        "patched": _monkey_patched(),
        "path": _search_path(),
        "sitecustomize": _file_of("sitecustomize"),
        "site_packages": _site_packages(),
        "attached": _is_attached(),
        "whence": _whence(),
    }
    if sys.argv[1:] == [EVERYTHING] and facts["attached"]:
        try:
            facts["inside"] = importlib.import_module("whence.doctor.inside").look_inside()
        except Exception as error:
            facts["failed"] = type(error).__name__ + ": " + str(error)
    answer = "\n" + MARK + json.dumps(facts) + "\n"
    os.write(1, answer.encode("ascii"))


_FLAGS = ("isolated", "ignore_environment", "no_site", "no_user_site", "safe_path", "dev_mode")


def _python() -> "dict[str, object]":
    import platform
    import sysconfig

    return {
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "platform": platform.platform(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "main_interpreter": _is_main_interpreter(),
    }


def _is_main_interpreter() -> "bool | None":
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            module = __import__(name)
            current = module.get_current()
            return bool((current[0] if isinstance(current, tuple) else int(current)) == 0)
        except (ImportError, AttributeError):
            continue
    return None


def _monkey_patched() -> "dict[str, list[str]]":
    """What gevent or eventlet have replaced, by who did it."""
    found = {}
    for name, attribute in (("gevent.monkey", "saved"), ("eventlet.patcher", "already_patched")):
        modules = getattr(sys.modules.get(name), attribute, None)
        if modules:
            found[name.split(".")[0]] = sorted(str(module) for module in modules)
    return found


def _search_path() -> "list[str]":
    """Folders in which site may have looked for a sitecustomize, in its order."""
    import os

    given = []
    if not sys.flags.ignore_environment:
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    found = []
    for folder in filter(None, given + sys.path):
        if os.path.abspath(folder) not in found:
            found.append(os.path.abspath(folder))
    return found


def _file_of(name: str) -> "str | None":
    return getattr(sys.modules.get(name), "__file__", None)


def _site_packages() -> "list[str]":
    import site

    found = list(getattr(site, "getsitepackages", list)())
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return found


def _is_attached() -> bool:
    attaching = sys.modules.get("whence.attaching")
    return attaching is not None and bool(attaching.attached())


def _whence() -> "dict[str, object]":
    """Which one this Python finds, or why none."""
    try:
        whence = __import__("whence")
        return {"version": whence.__version__, "file": whence.__file__}
    except Exception as error:
        return {"error": type(error).__name__ + ": " + str(error)}


if __name__ == "__main__":
    main()
