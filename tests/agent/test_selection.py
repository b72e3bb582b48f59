"""The globs of --include and --exclude."""

import asyncio
import sys
from collections.abc import Iterator
from importlib.util import LazyLoader, find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import whence
from configured import settings
from launching import Launcher
from receivers import HttpReceiver
from seen import spans_of
from whence.engine import SpanLifetime, ring
from whence.engine.resource_types import REQUEST, SERVER, TASK, TIMER_HANDLE, ResourceType
from whence.selection import MAX_KNOWN, Selection, wanted_resources, wanted_traces

HERE = compile("", __file__, "exec")


def lifetime(
    name: str | None = "tick", row: ResourceType = TASK, file: str = __file__
) -> SpanLifetime:
    made = SpanLifetime()
    made.name, made.type, made.code = name, row, HERE.replace(co_filename=file)
    return made


def chooses(glob: str, of: SpanLifetime) -> bool:
    """What --include takes is what --exclude leaves out."""
    included = Selection([glob], []).wants(of)
    assert Selection([], [glob]).wants(of) is not included
    return included


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    """A module `shop.cart.prices`, imported."""
    file = tmp_path / "prices.py"
    file.write_text("async def tick(): pass\n")
    spec = spec_from_file_location("shop.cart.prices", file)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    sys.modules["shop.cart.prices"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["shop.cart.prices"]


@pytest.mark.parametrize(
    ("glob", "is_chosen"),
    [
        ("module:shop.cart.prices", True),
        ("module:shop.cart", True),
        ("module:shop", True),
        ("module:shop.*", True),
        ("module:*.prices", True),
        ("module:sh?p.c[aeiou]rt", True),
        ("module:prices", False),
        ("module:sho", False),
        ("module:Shop", False),
        ("module:tick", False),
        ("shop.*", True),
    ],
)
def test_a_module_is_chosen_with_all_that_is_below_it(
    glob: str, is_chosen: bool, module: ModuleType
) -> None:
    assert chooses(glob, lifetime(file=str(module.__file__))) is is_chosen


@pytest.mark.parametrize(
    ("glob", "is_chosen"),
    [
        ("name:main.<locals>.Feed.poll_prices", True),
        ("name:Feed.poll_prices", True),
        ("name:Feed.*", True),
        ("name:poll_*", True),
        ("poll_*", True),
        ("name:poll", False),
        ("name:POLL_*", False),
        ("module:poll_*", False),
        ("type:poll_*", False),
    ],
)
def test_a_name_is_what_the_program_or_a_span_calls_it(glob: str, is_chosen: bool) -> None:
    assert chooses(glob, lifetime("main.<locals>.Feed.poll_prices")) is is_chosen


def test_a_timer_is_called_as_its_span_is() -> None:
    timer = lifetime("_set_result_unless_cancelled", TIMER_HANDLE)
    assert chooses("name:sleep", timer)
    assert chooses("name:timer *", timer)


def test_globs_of_traces_and_of_resources_are_told_apart() -> None:
    chosen = settings(include="trace:GET *,type:Task", exclude="trace:* /health,name:poll")
    of_traces, of_resources = wanted_traces(chosen), wanted_resources(chosen)
    assert of_traces is not None
    assert of_resources is not None
    poll, health, items = (
        lifetime("poll"),
        lifetime("GET /health", REQUEST),
        lifetime("GET /items", REQUEST),
    )
    assert [of_traces(it) for it in (poll, health, items)] == [False, False, True]
    assert [of_resources(it) for it in (poll, health, items)] == [False, False, False]
    assert of_resources(lifetime("tick"))
    only_traces = settings(include="trace:GET *")
    assert wanted_resources(only_traces) is None
    assert wanted_traces(settings(include="type:Task")) is None


def test_a_route_with_its_method_is_a_name() -> None:
    request = lifetime("GET /items/{id}", REQUEST)
    assert chooses("name:GET /items/*", request)
    assert chooses("name:* /items/{id}", request)
    assert not chooses("name:POST *", request)


@pytest.mark.parametrize(
    ("glob", "is_chosen"),
    [("type:TimerHandle", True), ("type:*Handle", True), ("type:Timer", False), ("Timer*", False)],
)
def test_a_type_is_chosen_by_what_the_hooks_call_it(glob: str, is_chosen: bool) -> None:
    assert chooses(glob, lifetime(row=TIMER_HANDLE)) is is_chosen


def test_without_include_all_is_chosen_and_exclude_beats_it() -> None:
    assert Selection([], ["name:other"]).wants(lifetime("tick"))
    assert not Selection(["name:tick"], ["type:Task"]).wants(lifetime("tick"))
    assert not Selection(["name:other"], ["name:other"]).wants(lifetime("tick"))
    assert Selection(["name:other", "name:t*"], []).wants(lifetime("tick"))


def test_what_has_no_name_is_called_as_its_span_is() -> None:
    nameless = lifetime(None, SERVER)
    assert chooses("name:server", nameless)
    assert not chooses("name:Server", nameless)
    assert chooses("type:Server", nameless)


def test_what_was_created_nowhere_matches_no_module() -> None:
    homeless = lifetime("tick")
    homeless.code = None
    assert not chooses("module:*", homeless)
    assert chooses("tick", homeless)


def test_it_is_worked_out_once_for_each_file_type_and_name(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(["module:shop"], [])
    there = lifetime(file=str(module.__file__))
    assert selection.wants(there)
    monkeypatch.delitem(sys.modules, "shop.cart.prices")
    assert selection.wants(there)
    monkeypatch.setitem(sys.modules, "shop.cart.prices", module)


def test_a_program_that_makes_names_without_end_does_not_make_it_grow_without_end() -> None:
    selection = Selection(["name:even*"], [])
    for number in range(MAX_KNOWN + 10):
        assert selection.wants(lifetime(f"even {number}"))
    assert len(selection._known) <= MAX_KNOWN


def test_asking_for_the_module_loads_no_lazy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("colorsys")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = LazyLoader(spec.loader)
    lazy = module_from_spec(spec)
    spec.loader.exec_module(lazy)
    kind = type(lazy)
    monkeypatch.setitem(sys.modules, "colorsys", lazy)
    assert chooses("module:*", lifetime())
    assert type(lazy) is kind


PROGRAM = """
    import asyncio, importlib, sys

    async def poll_prices():
        await asyncio.sleep(0.005)
        await asyncio.create_task(checkout())

    async def checkout():
        await asyncio.sleep(0.005)

    async def main():
        await asyncio.create_task(poll_prices())

    new_loop = importlib.import_module(sys.argv[1]).new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
"""


@pytest.mark.parametrize(
    "loop",
    [
        "asyncio",
        pytest.param(
            "uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
        ),
    ],
)
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["main", "poll_prices", "checkout", "sleep", "sleep"]),
        (["--exclude", "name:poll_*"], ["main", "checkout", "sleep", "sleep"]),
        (["--exclude", "name:poll_*,type:TimerHandle"], ["main", "checkout"]),
        (["--exclude", "name:poll_*", "--exclude", "sleep"], ["main", "checkout"]),
        (["--include", "type:Task"], ["main", "poll_prices", "checkout"]),
        (["--include", "module:__main__", "--exclude", "sleep,main"], ["poll_prices", "checkout"]),
        (["--include", "app", "--exclude", "sleep"], ["main", "poll_prices", "checkout"]),
        (["--include", "elsewhere"], []),
        (["--include", "type:Task,trace:main"], ["main", "poll_prices", "checkout"]),
        (["--include", "trace:poll_prices"], []),
        (["--exclude", "trace:task main"], []),
        (["--exclude", "name:main,trace:checkout"], ["poll_prices", "checkout", "sleep", "sleep"]),
    ],
)
def test_a_program_is_seen_as_it_was_chosen(
    options: list[str],
    names: list[str],
    loop: str,
    launch: Launcher,
    http_receiver: HttpReceiver,
) -> None:
    launch.write("app.py", PROGRAM)
    to = ["-q", "--endpoint", http_receiver.url, "--min-duration", "0"]
    ran = launch.run(*to, *options, "app.py", loop)
    assert (ran.code, ran.err) == (0, "")
    spans = spans_of(http_receiver.received.requests)
    assert sorted(span.name.partition(" ")[2] for span in spans) == sorted(names)
    ids = {span.span_id for span in spans}
    assert [span for span in spans if span.parent_id and span.parent_id not in ids] == []


def test_hooks_hear_of_what_is_left_out_and_detached_nothing_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    whence.attach(export="none", exclude=("type:Task",), min_duration=0)
    with whence.create_hook(init=lambda i, type, trigger, resource: seen.append(type)):
        asyncio.run(asyncio.sleep(0))
    whence.detach()
    assert "Task" in seen
    whence.attach(export="none")
    task = whence.AsyncResource("Job")
    assert type(task._whence_lifetime) is SpanLifetime
    task.emit_destroy()
    whence.detach()
    ring.clear()
