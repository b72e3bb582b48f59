import os

import pytest

from whence.commands.program import command_name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["app.py", "--port", "80"], "app"),
        (["src/app.pyz"], "app"),
        (["/venv/bin/uvicorn", "shop:app"], "uvicorn"),
        (["uvicorn.exe"], "uvicorn"),
        (["my.app"], "my.app"),
        (["src/shop/"], "shop"),
        (["src/shop/__main__.py"], "shop"),
        (["-m", "shop.web", "-v"], "shop.web"),
        (["-mshop"], "shop"),
        (["-Im", "shop"], "shop"),
        (["-u", "-X", "dev", "-W", "error", "app.py"], "app"),
        (["-Xdev", "-Wignore", "app.py"], "app"),
        (["-uX", "dev", "app.py"], "app"),
        (["--check-hash-based-pycs", "always", "app.py"], "app"),
        (["-c", "import app", "app.py"], "python"),
        (["-Ic", "import app"], "python"),
        (["-"], "python"),
        (["-m"], "python"),
        (["-X"], "python"),
        ([], "python"),
    ],
)
def test_a_program_is_called_what_a_person_would_call_it(words: list[str], name: str) -> None:
    assert command_name(words) == name


def test_the_folder_one_is_in_has_a_name() -> None:
    assert command_name(["."]) == os.path.basename(os.getcwd())
