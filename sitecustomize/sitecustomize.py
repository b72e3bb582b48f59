"""Attach the agent, then run the sitecustomize that this one hides.

Python's site imports this file in every process that has our folder on PYTHONPATH, which may be the
Python of another environment.  Rules: it never disturbs the program; when it is done, sys.path and
sys.modules are as they would have been without it; what the hidden sitecustomize does or raises is
site's affair, as ever.
"""

import os
import sys

FOLDER = os.path.dirname(__file__)


def attach() -> None:
    """Attach as the environment says.  Whatever goes wrong is one line on stderr."""
    try:
        if _whence_can_be_imported():
            from whence.attaching import attach_by_environment

            attach_by_environment()
    except Exception as error:
        # whence itself is broken: nothing of it can be used to say so, and once is enough.
        del os.environ["WHENCE_ATTACH"]
        text = " ".join(repr(error).split())
        print(f"whence: {text}; the program runs without the agent", file=sys.stderr)


def run_hidden() -> None:
    """Import the next sitecustomize on the path, as site would have; its errors are let out."""
    sys.path[:] = [entry for entry in sys.path if entry != FOLDER]
    del sys.modules["sitecustomize"]
    __import__("sitecustomize")


def _whence_can_be_imported() -> bool:
    """Makes it so on the Python of another environment, if whence was installed for the same build.

    Its site-packages then comes last: what the environment has itself goes first.
    """
    try:
        __import__("whence")
        return True
    except ModuleNotFoundError as error:
        if error.name != "whence":
            raise
    package = os.path.dirname(FOLDER)
    site_packages = os.path.dirname(package)
    if os.path.basename(package) != "whence" or not _same_build(site_packages):
        if os.environ.get("WHENCE_VERBOSE"):
            text = f"whence: not installed for {sys.executable}, which runs without the agent"
            print(text, file=sys.stderr)
        return False
    sys.path.append(site_packages)
    return True


def _same_build(site_packages: str) -> bool:
    """Whether compiled modules there are of this Python's version, ABI and platform.

    whence requires some that are always compiled, and every suffix names all three.
    """
    from importlib.machinery import EXTENSION_SUFFIXES

    for folder in ("whence", "wrapt", os.path.join("grpc", "_cython")):
        try:
            names = os.listdir(os.path.join(site_packages, folder))
        except OSError:
            continue
        if any(name.endswith(EXTENSION_SUFFIXES[0]) for name in names):
            return True
    return False


if __name__ == "sitecustomize":
    if os.environ.get("WHENCE_ATTACH"):
        attach()
    run_hidden()
