"""What the application sees of our spans, and that it is none the worse for it."""

import asyncio
import gc
import weakref
from contextvars import Token
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context, _RuntimeContext
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext

import whence
from application import REMOTE, Application, attached, named, plain, short, with_span
from drawing import check_drawing
from whence import AsyncResource
from whence.engine import SpanLifetime, create, local
from whence.engine.resource_types import SERVER
from whence.instrumentation.opentelemetry_context import SplicingContext
from whence.instrumentation.opentelemetry_spans import ResourceSpan


def current() -> SpanContext:
    return trace.get_current_span().get_span_context()


class TestWhatTheApplicationSees:
    """Ours is current where it made none current itself."""

    def test_the_current_span_is_the_one_of_what_executes(self, app: Application) -> None:
        seen: list[SpanContext] = []

        async def inner() -> None:
            seen.append(current())

        async def main() -> None:
            seen.append(current())
            await asyncio.create_task(inner())
            seen.append(current())

        app.provide()
        spans = short(app.run(plain(main)))
        assert seen[0] == seen[2]
        for name, context in (("main", seen[0]), ("inner", seen[1])):
            span = named(spans, f"task {name}")
            assert (span.trace_id, span.span_id) == (
                f"{context.trace_id:032x}",
                f"{context.span_id:016x}",
            )
            assert context.trace_flags.sampled

    def test_what_never_reads_gets_nothing(self, app: Application) -> None:
        lifetimes: list[Any] = []

        async def main() -> None:
            await asyncio.sleep(0)
            lifetimes.append(local.state.current)
            assert not hasattr(lifetimes[0], "spliced")
            assert lifetimes[0].span is None

        app.provide()
        app.run(main)
        assert len(lifetimes) == 1

    def test_to_read_a_value_is_not_to_ask_for_ids(self, app: Application) -> None:
        async def main() -> None:
            assert context_api.get_value("key") is None
            lifetime = local.state.current
            assert isinstance(lifetime, SpanLifetime)
            assert lifetime.span is None
            assert not lifetime.keep

        app.provide()
        assert app.run(main, min_duration=10_000) == []

    def test_who_was_asked_for_its_ids_is_exported(self, app: Application) -> None:
        async def short() -> None:
            current()

        async def main() -> None:
            await asyncio.create_task(short())

        app.provide()
        assert len(app.run(main, min_duration=10_000)) == 2

    def test_it_is_the_same_at_each_look(self, app: Application) -> None:
        async def main() -> None:
            context, span = context_api.get_current(), trace.get_current_span()
            assert not span.is_recording()
            await asyncio.sleep(0)
            assert context_api.get_current() is context
            with attached(context_api.set_value("key", 1)):
                assert trace.get_current_span() is span
            assert context_api.get_current() is context
            assert trace.get_current_span() is span

        app.provide()
        app.run(main)

    def test_what_is_attached_here_is_what_is_read_here(self, app: Application) -> None:
        async def main() -> None:
            ours = context_api.get_current()
            for context in (
                Context(),
                Context({"key": 1}),
                with_span(NonRecordingSpan(REMOTE)),
                ours,
            ):
                with attached(context):
                    assert context_api.get_current() is context
                    await asyncio.sleep(0)
                    assert context_api.get_current() is context
                assert context_api.get_current() is ours

        app.provide()
        app.run(main)

    def test_what_was_attached_elsewhere_is_under_ours(self, app: Application) -> None:
        async def inner() -> None:
            assert isinstance(trace.get_current_span(), ResourceSpan)
            assert context_api.get_value("key") == 1

        async def main() -> None:
            with attached(context_api.set_value("key", 1)), app.span("user"):
                await asyncio.create_task(inner())

        app.provide()
        app.run(main)

    def test_a_context_that_is_carried_to_another_task_shows_that_task(
        self, app: Application
    ) -> None:
        """As instrumentations of threads and queues carry it."""

        async def inner(carried: Context) -> None:
            mine = trace.get_current_span()
            with attached(carried):
                assert trace.get_current_span() is mine

        async def main() -> None:
            await asyncio.create_task(inner(context_api.get_current()))

        app.provide()
        app.run(main)

    def test_a_span_of_the_application_that_is_carried_there_stays(self, app: Application) -> None:
        async def inner(carried: Context, span: trace.Span) -> None:
            with attached(carried):
                assert trace.get_current_span() is span

        async def main() -> None:
            with app.span("user") as span:
                carried = context_api.get_current()
            await asyncio.create_task(inner(carried, span))

        app.provide()
        app.run(main)

    def test_one_that_is_above_what_it_is_carried_to_stays_above(self, app: Application) -> None:
        """As an instrumentation of thread pools carries it to each job."""

        async def inner(carried: Context, span: trace.Span) -> None:
            with attached(carried):
                shown = trace.get_current_span()
                assert isinstance(shown, ResourceSpan)
                assert shown.covered is span

        async def main() -> None:
            with app.span("user") as span:
                await asyncio.create_task(inner(context_api.get_current(), span))

        app.provide()
        app.run(main)

    def test_what_it_tells_the_current_span_is_told_to_its_own(self, app: Application) -> None:
        async def inner(outer: trace.Span) -> None:
            span: Any = trace.get_current_span()
            assert span is not outer
            assert span.is_recording()
            span.set_attribute("one", 1)
            span.set_attributes({"two": 2})
            span.add_event("happened")
            span.record_exception(ValueError("found out"))
            span.set_status(trace.StatusCode.ERROR, "broken")
            span.add_link(REMOTE)
            span.update_name("renamed")
            assert span.name == "renamed"
            with pytest.raises(AttributeError):
                span.no_such_thing  # noqa: B018

        async def main() -> None:
            with app.span("user") as span:
                await asyncio.create_task(inner(span))
                assert span.is_recording()

        app.provide()
        span = named(app.run(main), "renamed")
        assert (span.attributes["one"], span.attributes["two"]) == (1, 2)
        assert [name for name, _ in span.events] == ["happened", "exception"]
        assert (span.status, span.status_text) == ("ERROR", "broken")
        assert [int(span_id, 16) for _, span_id, _ in span.links] == [REMOTE.span_id]

    def test_where_it_has_none_nothing_records(self, app: Application) -> None:
        async def main() -> None:
            span = trace.get_current_span()
            assert not span.is_recording()
            span.set_attribute("one", 1)
            span.record_exception(ValueError("unheard of"))
            span.end()

        app.provide()
        (span,) = app.run(main)
        assert "one" not in span.attributes
        assert span.events == []

    def test_a_callback_has_the_span_in_which_it_was_scheduled(self, app: Application) -> None:
        """It is a step of the task that scheduled it, and has no span itself."""
        seen: list[trace.Span] = []

        async def main() -> None:
            with app.span("user") as span:
                asyncio.get_running_loop().call_soon(lambda: seen.append(trace.get_current_span()))
                await asyncio.sleep(0)
            assert seen == [span]

        app.provide()
        app.run(main)

    def test_a_container_shows_nothing(self, app: Application) -> None:
        """Whatever a connection is sent would be in one trace."""
        app.provide()
        with app.watched():
            state = local.state
            server = _resource(SERVER)
            state.current, before = server, state.current
            try:
                assert trace.get_current_span() is trace.INVALID_SPAN
            finally:
                state.current = before

    def test_a_users_resource_shows_its_own(self, app: Application) -> None:
        async def main() -> None:
            task = trace.get_current_span()
            resource = AsyncResource("Job")
            seen = resource.run_in_async_scope(trace.get_current_span)
            assert isinstance(seen, ResourceSpan)
            assert seen is not task
            assert trace.get_current_span() is task
            resource.emit_destroy()

        app.provide()
        app.run(main)

    def test_nothing_of_ours_at_the_top_level(self, app: Application) -> None:
        app.provide()
        with app.watched():
            assert context_api.get_current() == Context()
            with attached(Context({"key": 1})):
                assert context_api.get_value("key") == 1
            with app.span("user") as span:
                assert trace.get_current_span() is span


def _resource(row: Any) -> SpanLifetime:
    made = create(local.state, row, object(), local.state.current)
    assert isinstance(made, SpanLifetime)
    return made


class Another(_RuntimeContext):
    """A runtime context of the program's choice."""

    def __init__(self) -> None:
        self.inner = ContextVarsRuntimeContext()
        self.calls: list[str] = []

    def attach(self, context: Context) -> Token[Context]:
        self.calls.append("attach")
        return self.inner.attach(context)

    def get_current(self) -> Context:
        self.calls.append("get_current")
        return self.inner.get_current()

    def detach(self, token: Token[Context]) -> None:
        self.calls.append("detach")
        self.inner.detach(token)


class TestBeingUndone:
    """What the program has chosen is wrapped, not lost."""

    def test_its_runtime_context_is_asked_and_put_back(
        self, app: Application, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chosen = Another()
        monkeypatch.setattr(context_api, "_RUNTIME_CONTEXT", chosen)

        async def main() -> None:
            with app.span("user"):
                await asyncio.create_task(asyncio.sleep(0))

        app.provide()
        spans = app.run(plain(main))
        assert {"attach", "get_current", "detach"} <= set(chosen.calls)
        assert context_api._RUNTIME_CONTEXT is chosen
        assert named(spans, "task sleep").parent_id == named(spans, "user").span_id

    def test_what_is_put_on_top_meanwhile_stays(
        self, app: Application, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(context_api, "_RUNTIME_CONTEXT", context_api._RUNTIME_CONTEXT)
        app.provide()
        with app.watched():
            ours = context_api._RUNTIME_CONTEXT
            assert isinstance(ours, SplicingContext)
            theirs = Another()
            context_api._RUNTIME_CONTEXT = theirs
        assert context_api._RUNTIME_CONTEXT is theirs

    def test_what_was_attached_before_can_be_read_and_detached_after(
        self, app: Application
    ) -> None:
        app.provide()
        before = context_api._RUNTIME_CONTEXT
        with app.watched():
            assert context_api._RUNTIME_CONTEXT is not before
            with app.span("user") as span:
                whence.detach()
                assert context_api._RUNTIME_CONTEXT is before
                assert trace.get_current_span() is span
                assert isinstance(context_api.get_current(), Context)
            assert trace.get_current_span() is trace.INVALID_SPAN

    def test_ours_shows_nothing_once_it_is_out_of_force(self, app: Application) -> None:
        """Somebody may have kept it."""

        async def main() -> None:
            assert isinstance(trace.get_current_span(), ResourceSpan)
            kept = context_api._RUNTIME_CONTEXT
            whence.detach()
            assert kept.get_current() == Context()
            kept.detach(kept.attach(Context()))

        app.provide()
        with app.watched():
            asyncio.run(main())

    def test_a_second_agent_finds_the_programs_own_again(self, app: Application) -> None:
        app.provide()
        before = context_api._RUNTIME_CONTEXT
        for _ in range(3):
            with app.watched():
                ours = context_api._RUNTIME_CONTEXT
                assert isinstance(ours, SplicingContext)
                assert ours.own is before


class TestCare:
    """Nothing fails because of us, and nothing is kept."""

    def test_a_span_that_fails_fails_only_where_the_program_asks_it(self, app: Application) -> None:
        class Broken(NonRecordingSpan):
            def get_span_context(self) -> SpanContext:
                raise ValueError("broken")

        async def main() -> None:
            with attached(with_span(Broken(REMOTE))):
                await asyncio.create_task(asyncio.sleep(0))
                assert isinstance(trace.get_current_span(), Broken)

        app.provide()
        app.run(main)

    def test_what_is_no_context_is_treated_as_without_us(self, app: Application) -> None:
        nonsense: Any = 5

        async def main() -> None:
            token = context_api.attach(nonsense)
            assert context_api.get_current() == 5
            context_api.detach(token)

        app.provide()
        app.run(main)

    def test_an_invalid_span_is_no_span(self, app: Application) -> None:
        async def main() -> None:
            with attached(with_span(trace.INVALID_SPAN)):
                await asyncio.create_task(asyncio.sleep(0))

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
                task sleep
            """,
        )

    def test_what_a_context_holds_is_not_kept_for_our_sake(self, app: Application) -> None:
        class Held:
            """Something of the program's."""

        references: list[weakref.ref[Held]] = []

        async def inner() -> None:
            held = Held()
            references.append(weakref.ref(held))
            with attached(context_api.set_value("held", held)), app.span("user") as span:
                current()
                del held
                await asyncio.create_task(asyncio.sleep(0))
            references.append(weakref.ref(span))

        with open("/dev/null", "w") as nowhere:
            # Which keeps spans until it exports them.
            app.provide(BatchSpanProcessor(ConsoleSpanExporter(out=nowhere)))
            assert app.provider is not None
            provider = app.provider

            async def flushed() -> None:
                task = asyncio.create_task(inner())
                await task
                del task
                await asyncio.to_thread(provider.force_flush)
                gc.collect()
                assert [reference() for reference in references] == [None, None]

            app.run(flushed)

    def test_without_an_agent_that_sends_nothing_is_shown(self, app: Application) -> None:
        async def main() -> None:
            assert trace.get_current_span() is trace.INVALID_SPAN

        app.provide()
        app.run(main, export=["none"])

    def test_two_threads_get_the_same_ids(self, app: Application) -> None:
        """The first place that is given to a lifetime counts."""

        async def main() -> None:
            span = trace.get_current_span()
            seen = await asyncio.gather(
                *(asyncio.to_thread(span.get_span_context) for _ in range(20))
            )
            assert len({(context.trace_id, context.span_id) for context in seen}) == 1

        app.provide()
        app.run(main)
