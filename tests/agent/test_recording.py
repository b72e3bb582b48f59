"""What the settings make of the recording."""

from collections.abc import Iterator

import pytest

import whence
from whence import engine


@pytest.fixture(autouse=True)
def detached() -> Iterator[None]:
    yield
    whence.detach()


def failure() -> tuple[str, str] | None:
    lifetime = engine.create(
        engine.local.state, engine.resource_types.PROCESS, object(), engine.local.state.current
    )
    engine.failed(lifetime, ValueError("secret"))
    assert isinstance(lifetime, engine.RecordedLifetime)
    return lifetime.error


def test_a_failure_is_recorded_with_its_message() -> None:
    whence.attach(export=("none",))
    assert failure() == ("ValueError", "secret")


def test_without_messages_only_the_type_of_a_failure_is_recorded() -> None:
    whence.attach(export=("none",), no_messages=True)
    assert failure() == ("ValueError", "")


def test_the_shortest_span_is_a_setting_in_milliseconds() -> None:
    whence.attach(export=("none",), min_duration=2.5)
    assert engine.recorder.min_duration == 2_500_000


def test_only_the_chosen_types_become_spans() -> None:
    whence.attach(export=("none",), types={"Task", "Handle"})
    chosen = {
        row.name for row in engine.resource_types.known_types() if row.spans and row.number <= 18
    }
    assert chosen == {"Task", "Handle"}


def test_without_stacks_no_site_is_recorded() -> None:
    whence.attach(export=("none",), stacks="off")
    lifetime = engine.create(
        engine.local.state, engine.resource_types.PROCESS, object(), engine.local.state.current
    )
    assert isinstance(lifetime, engine.RecordedLifetime)
    assert lifetime.code is None


def test_detached_nothing_is_recorded_and_nothing_is_patched() -> None:
    whence.attach(export=("none",))
    assert engine.instrumented()
    whence.detach()
    lifetime = engine.create(
        engine.local.state, engine.resource_types.PROCESS, object(), engine.local.state.current
    )
    assert not isinstance(lifetime, engine.RecordedLifetime)
    assert not engine.instrumented()
    assert not engine.open_lifetimes


def test_detached_the_next_attachment_begins_with_the_defaults() -> None:
    whence.attach(export=("none",), types={"Task"}, no_messages=True, min_duration=5, stacks="off")
    whence.detach()
    whence.attach(export=("none",))
    assert engine.resource_types.FUTURE.spans is False
    assert engine.resource_types.TIMER_HANDLE.spans is True
    assert engine.recorder.min_duration == 1_000_000
    assert engine.recorder.messages
    assert engine.recorder.sites


def test_detached_the_types_that_become_spans_are_the_default_ones() -> None:
    whence.attach(export=("none",), types={"Task"})
    whence.detach()
    assert engine.resource_types.TIMER_HANDLE.spans
    assert engine.recorder.sites


def test_what_is_open_when_recording_ends_is_not_open_for_ever() -> None:
    whence.attach(export=("none",))
    process = engine.resource_types.PROCESS
    state = engine.local.state
    kept = engine.create(state, process, object(), state.current)
    whence.detach()
    assert process.created - process.destroyed == 0
    assert process.outcomes == {"open": 1}
    engine.end(state, kept)
    assert (process.destroyed, process.outcomes) == (1, {"open": 1})
