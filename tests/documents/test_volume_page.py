"""docs/volume.md does what it says."""

import asyncio
import contextlib
import io
import re
from pathlib import Path
from typing import Any

import whence
from whence.settings.options import BY_NAME

PAGE = (Path(__file__).parents[2] / "docs" / "volume.md").read_text(encoding="utf-8")


def test_the_example_of_a_listener_prints_its_spans() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, names)
        asyncio.run(asyncio.sleep(0.002))
        names["listener"].stop()
    lines = printed.getvalue().splitlines()
    assert [line.rpartition(" s:")[0].rpartition(" ")[0] for line in lines] == [
        "task sleep",
        "timer sleep",
    ]


def test_what_is_told_of_traces_and_spans_is_there() -> None:
    of_trace, of_span = (
        re.search(rf"A `{name}` has(.*?)\.\s", PAGE, re.DOTALL) for name in ("Trace", "Span")
    )
    for told, kind in ((of_trace, whence.Trace), (of_span, whence.Span)):
        assert told is not None
        words = set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", told[1], flags=re.DOTALL)))
        public = {name for name in dir(kind) if not name.startswith("_")} - {"walk"}
        assert words == public


def test_the_table_names_settings_and_their_defaults() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE, re.MULTILINE))
    assert rows.keys() == {
        "types",
        "include",
        "exclude",
        "min_duration",
        "max_spans",
        "max_rate",
        "sample",
    }
    for name in ("min_duration", "max_spans", "max_rate", "sample"):
        number = re.sub(r"\D", "", rows[name])
        assert float(number) == BY_NAME[name].default
