"""What uvloop makes impossible: said by the instrumentations, and the same in the document."""

from importlib import import_module
from pathlib import Path

import pytest

from whence.instrumenting import INSTRUMENTATIONS

pytest.importorskip("uvloop")

DOCUMENT = Path(__file__).parents[2] / "docs" / "uvloop.md"


def test_the_document_has_the_same_rows_as_the_doctor() -> None:
    impossible: dict[str, str] = {}
    for name in INSTRUMENTATIONS["uvloop"]:
        module = import_module(f"whence.instrumentation.{name}")
        impossible |= getattr(module, "IMPOSSIBLE", {})
    _, _, rows = DOCUMENT.read_text(encoding="utf-8").partition("## What is impossible")
    written = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in rows.splitlines()
        if line.startswith("| ") and line.strip("| ")
    ]
    assert dict(row for row in written if len(row) == 2) == impossible
