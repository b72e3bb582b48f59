"""Any program with spans of its own exports the same spans with the agent as without."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import whence

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing that is sent there arrives."""

WAYS = ("span", "task", "together", "thread", "callback", "timer", "root span", "resource")


class Act(NamedTuple):
    """What a program does, and what it does inside of that."""

    way: str
    inside: "tuple[Act, ...]"


ACTS = st.recursive(
    st.builds(Act, st.sampled_from(WAYS), st.just(())),
    lambda inner: st.builds(Act, st.sampled_from(WAYS), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)
SAMPLERS = {
    "always on": (sampling.DEFAULT_ON, sampling.ALWAYS_ON),
    "always off": (sampling.DEFAULT_OFF, sampling.ALWAYS_OFF),
}


class Here(InMemorySpanExporter):
    """Keeps what it says to send where ours are sent."""

    _endpoint = f"{NOBODY}/v1/traces"


class Program:
    """Runs acts; each span is named by its place among them."""

    def __init__(self, sampler: sampling.Sampler) -> None:
        self.exporter = Here()
        self.provider = TracerProvider(sampler, Resource({}), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("program")
        self.made: list[tuple[str, bool]] = []

    def run(self, acts: Sequence[Act]) -> None:
        asyncio.run(self._all(acts, "main"))

    async def _all(self, acts: Sequence[Act], path: str) -> None:
        for number, act in enumerate(acts):
            await getattr(self, f"_{act.way.replace(' ', '_')}")(act, f"{path}.{number}")

    def _note(self, path: str) -> None:
        context = trace.get_current_span().get_span_context()
        self.made.append((path, context.trace_flags.sampled))

    async def _span(self, act: Act, path: str, **options: Any) -> None:
        with self.tracer.start_as_current_span(path, **options):
            self._note(path)
            await self._all(act.inside, path)

    async def _root_span(self, act: Act, path: str) -> None:
        await self._span(act, path, context=Context())

    async def _task(self, act: Act, path: str) -> None:
        await asyncio.create_task(self._all(act.inside, path))

    async def _together(self, act: Act, path: str) -> None:
        await asyncio.gather(
            *(
                asyncio.create_task(self._all((one,), f"{path}.{n}"))
                for n, one in enumerate(act.inside)
            )
        )

    async def _thread(self, act: Act, path: str) -> None:
        await asyncio.to_thread(self._in_thread, path)
        await self._all(act.inside, path)

    def _in_thread(self, path: str) -> None:
        with self.tracer.start_as_current_span(f"{path} in a thread"):
            self._note(path)

    async def _callback(self, act: Act, path: str) -> None:
        await self._called(asyncio.get_running_loop().call_soon, act, path)

    async def _timer(self, act: Act, path: str) -> None:
        loop = asyncio.get_running_loop()
        await self._called(lambda call: loop.call_later(0, call), act, path)

    async def _called(self, schedule: Any, act: Act, path: str) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def call() -> None:
            span = self.tracer.start_span(f"{path} called")
            with trace.use_span(span):
                task = loop.create_task(self._all(act.inside, path))
            # It goes on while what is done inside of it does, as a request does.
            task.add_done_callback(lambda _: span.end())
            task.add_done_callback(done.set_result)

        schedule(call)
        await done

    async def _resource(self, act: Act, path: str) -> None:
        resource = whence.AsyncResource("Job")
        resource.run_in_async_scope(self._in_thread, path)
        resource.emit_destroy()
        await self._all(act.inside, path)


@pytest.fixture(scope="module", autouse=True)
def no_provider() -> Iterator[None]:
    """Others in this process are to find none."""
    before = trace._TRACER_PROVIDER
    yield
    trace._TRACER_PROVIDER = before


def exported(acts: Sequence[Act], sampler: sampling.Sampler) -> tuple[Program, list[ReadableSpan]]:
    program = Program(sampler)
    trace._TRACER_PROVIDER = program.provider
    program.run(acts)
    return program, list(program.exporter.get_finished_spans())


def inside_open_ones(spans: Sequence[ReadableSpan]) -> set[tuple[str, str]]:
    """Span and parent, by name, where the parent still went on when the span began."""
    by_id = {span.context.span_id: span for span in spans}
    parents = [(span, by_id[span.parent.span_id]) for span in spans if span.parent is not None]
    return {(span.name, parent.name) for span, parent in parents if began(span) <= ended(parent)}


def began(span: ReadableSpan) -> int:
    assert span.start_time is not None
    return span.start_time


def ended(span: ReadableSpan) -> int:
    assert span.end_time is not None
    return span.end_time


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    acts=st.lists(ACTS, min_size=1, max_size=4),
    sampler=st.sampled_from([one for both in SAMPLERS.values() for one in both]),
)
def test_number_names_and_flags_are_the_same_and_no_open_span_is_torn(
    acts: list[Act], sampler: sampling.Sampler
) -> None:
    without, plain = exported(acts, sampler)
    whence.attach(endpoint=NOBODY, min_duration=0, quiet=True)
    try:
        beside, spliced = exported(acts, sampler)
    finally:
        whence.detach()
    assert Counter(span.name for span in spliced) == Counter(span.name for span in plain)
    assert sorted(beside.made) == sorted(without.made)
    now = {span.name: span for span in spliced}
    for child, parent in inside_open_ones(plain):
        if began(now[child]) <= ended(now[parent]):
            assert now[child].context.trace_id == now[parent].context.trace_id
