"""Puts whence.pth beside the package, in editable installs too; the rest is pyproject.toml's."""

import os

from setuptools import setup
from setuptools.command.build_py import build_py

PTH = os.path.join("sitecustomize", "whence.pth")


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


setup(cmdclass={"build_py": BuildWithPth})
