"""A whence of a test's own: with another engine in C, or none."""

import importlib.util
import os
import shutil
import sys
import sysconfig
import textwrap
import venv
from _imp import extension_suffixes
from pathlib import Path

import pytest

from launching import Finished, Launcher

ROOT = Path(__file__).parents[2]
SUFFIX = extension_suffixes()[0]

ASK = """
import asyncio, json, sys

import whence
from whence import engine
from whence.engine import twin
from whence.testing import record

async def main():
    await asyncio.sleep(0)

with record() as events:
    asyncio.run(main())
(task, *_) = events.ids("Task")
print(json.dumps({
    "engine": engine.NAME,
    "why_not": twin.why_not,
    "slower": twin.slower,
    "loaded": "whence._engine" in sys.modules,
    "task": [name for name in events.names(task) if name not in ("before", "after")],
    "first": task,
}))
"""


def build() -> Path:
    """The engine in C that these tests run beside."""
    found = importlib.util.find_spec("whence._engine")
    if found is None or found.origin is None:
        pytest.skip("the engine in C is not built here")
    return Path(found.origin)


class Package:
    """A whence of one's own, without the engine in C but for what a test puts there."""

    def __init__(self, folder: Path, launch: Launcher) -> None:
        self.launch = launch
        # Not beside an editable install of whence, which would be asked for what is not here.
        venv.create(folder / "venv", symlinks=os.name != "nt")
        made = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        site = Path(sysconfig.get_path("purelib", "venv", made))
        scripts = Path(sysconfig.get_path("scripts", "venv", made))
        self.interpreter = str(scripts / f"python{sysconfig.get_config_var('EXE') or ''}")
        installed = [path for path in sys.path if path.endswith("-packages")]
        (site / "dependencies.pth").write_text("\n".join(installed))
        self.folder = site / "whence"
        without = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "engine_c")
        shutil.copytree(ROOT / "agent", self.folder, ignore=without)
        for part in ("instrumentation", "exporters", "sitecustomize"):
            shutil.copytree(ROOT / part, self.folder / part, ignore=without)

    def put(self, name: str, content: bytes) -> None:
        """A file beside the modules."""
        (self.folder / name).write_bytes(content)

    def python(self, *words: str, **env: str) -> Finished:
        """Run this whence."""
        return self.launch(self.interpreter, *words, env=env)

    def ask(self, **env: str) -> dict[str, object]:
        """Which engine it runs, and whether that works."""
        answer: dict[str, object] = self.python("-c", ASK, **{"WHENCE_ENGINE": "c", **env}).json
        assert answer["task"] == ["init", "promise_resolve", "destroy"]
        return answer

    def why_not(self) -> str:
        """Why it does not run the one in C."""
        answer = self.ask()
        assert answer["engine"] == "python"
        return str(answer["why_not"])

    def put_changed(self, change: str) -> None:
        """The engine in C, with something else under one of its names, as `change` defines it;
        `engine` is the module itself."""
        source = f"""
            from importlib.machinery import ExtensionFileLoader, ModuleSpec
            from importlib.util import module_from_spec

            loader = ExtensionFileLoader("whence._engine", {str(build())!r})
            engine = module_from_spec(ModuleSpec("whence._engine", loader, origin={str(build())!r}))
            loader.exec_module(engine)
            globals().update({{k: v for k, v in vars(engine).items() if not k.startswith("__")}})

        """
        changed = f"{textwrap.dedent(source)}{textwrap.dedent(change)}\n"
        self.put("_engine.py", changed.encode())
