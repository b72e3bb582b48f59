"""What pyproject.toml cannot express: the .pth file beside the package, and the engine in C."""

import os
import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

PTH = os.path.join("sitecustomize", "whence.pth")

OPTIONS = [] if os.name == "nt" else ["-std=c11", "-O3", "-fvisibility=hidden"]
if sys.platform == "linux":
    # Calls of the interpreter go through no stub: stubs are code to fetch as well.
    OPTIONS.append("-fno-plt")

ENGINE = Extension(
    "whence._engine",
    sources=sorted(glob("agent/engine_c/*.c")),
    depends=sorted(glob("agent/engine_c/*.h")),
    extra_compile_args=OPTIONS,
    # Without a compiler the engine in Python runs.
    optional=True,
)


class BuildWithPth(build_py):
    """Adds the .pth file, which belongs to no package, at the top of what is installed."""

    def run(self) -> None:
        """Build the packages, then add the file."""
        super().run()
        self.copy_file(PTH, os.path.join(self._top(), os.path.basename(PTH)))

    def get_source_files(self) -> list[str]:
        """Name what an sdist must hold."""
        return [*super().get_source_files(), PTH]

    def _top(self) -> str:
        if not self.editable_mode:
            return str(self.build_lib)
        # An editable install takes nothing from build_lib; its wheel is what `install` points at.
        return str(self.get_finalized_command("install").install_lib)


setup(cmdclass={"build_py": BuildWithPth}, ext_modules=[ENGINE])
