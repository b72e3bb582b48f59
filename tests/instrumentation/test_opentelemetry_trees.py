"""The application's own spans and ours in one tree, as an OTLP receiver has them."""

import asyncio
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from application import REMOTE, Application, attached, named, plain, short, with_span
from drawing import check_drawing
from whence.engine import SpanLifetime, Tracer, clock, local
from whence.instrumentation.opentelemetry_spans import ResourceSpan


class TestTrees:
    """Both parties' spans, as an OTLP receiver has them."""

    def test_spans_nest_in_both_directions(self, app: Application) -> None:
        async def query() -> None:
            with app.span("user query"):
                await asyncio.sleep(0)

        async def handle() -> None:
            with app.span("user handle"):
                await asyncio.gather(*(asyncio.create_task(query()) for _ in range(2)))

        async def main() -> None:
            await asyncio.create_task(handle())

        app.provide()
        spans = app.run(plain(main))
        check_drawing(
            short(spans),
            """
            task main
                task handle
                    user handle
                        2 x task query
                            user query
            """,
        )
        assert len({span.trace_id for span in spans}) == 1

    def test_an_ended_span_is_a_link(self, app: Application) -> None:
        async def late() -> None:
            with app.span("user late"):
                pass

        async def main() -> None:
            with app.span("user early") as span:
                pass
            with use_span(span):
                await asyncio.create_task(late())

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
                task late  <- ended_user_span of user early
                    user late
                user early
            """,
        )

    def test_a_remote_parent_wins(self, app: Application) -> None:
        async def inner() -> None:
            with app.span("user"):
                await asyncio.sleep(0)

        async def main() -> None:
            with attached(with_span(NonRecordingSpan(REMOTE))):
                await asyncio.create_task(inner())

        app.provide()
        spans = short(app.run(plain(main)))
        inner_span, user = named(spans, "task inner"), named(spans, "user")
        assert int(inner_span.trace_id, 16) == REMOTE.trace_id
        assert int(inner_span.parent_id, 16) == REMOTE.span_id
        assert user.parent_id == inner_span.span_id
        assert named(spans, "task main").trace_id != inner_span.trace_id

    def test_a_remote_parent_wins_without_a_provider_too(self, app: Application) -> None:
        async def main() -> None:
            with attached(with_span(NonRecordingSpan(REMOTE))):
                await asyncio.create_task(asyncio.sleep(0))

        spans = short(app.run(plain(main)))
        assert int(named(spans, "task sleep").parent_id, 16) == REMOTE.span_id

    def test_what_was_sampled_out_stays_out(self, app: Application) -> None:
        async def inner() -> None:
            with app.span("user"):
                await asyncio.sleep(0)

        async def main() -> None:
            unsampled = SpanContext(0xABC, 0x12, is_remote=True, trace_flags=TraceFlags(0))
            with attached(with_span(NonRecordingSpan(unsampled))):
                with app.span("user too"):
                    await asyncio.create_task(inner())
                await asyncio.create_task(inner())

        app.provide()
        check_drawing(short(app.run(plain(main))), "task main")

    def test_a_sampler_that_keeps_nothing_keeps_nothing(self, app: Application) -> None:
        async def main() -> None:
            with app.span("user"):
                await asyncio.create_task(asyncio.sleep(0))

        app.provide(sampler=sampling.ALWAYS_OFF)
        assert app.run(main) == []

    def test_a_span_around_the_whole_program_is_above_all(self, app: Application) -> None:
        async def main() -> None:
            with app.span("user inside"):
                pass

        app.provide()
        with app.watched(), app.span("user"):
            asyncio.run(plain(main)())  # type: ignore[arg-type]
        check_drawing(
            short(app.sent()),
            """
            user
                task main
                    user inside
            """,
        )

    def test_jobs_and_threads_are_in_the_tree(self, app: Application) -> None:
        def job() -> None:
            with app.span("user job"):
                pass

        async def main() -> None:
            loop = asyncio.get_running_loop()
            with app.span("user"):
                await loop.run_in_executor(None, job)
                await asyncio.to_thread(job)
                thread = threading.Thread(target=job)
                thread.start()
                thread.join()

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
                user
                    2 x executor job
                        user job
                    thread job
                        user job
            """,
        )

    def test_spans_that_go_elsewhere_are_linked(self, app: Application) -> None:
        seen: list[trace.Span] = []

        async def inner() -> None:
            seen.append(trace.get_current_span())
            with app.span("user inner") as span:
                assert span.parent.span_id == seen[0].get_span_context().span_id

        async def main() -> None:
            assert trace.get_current_span() is trace.INVALID_SPAN
            with app.span("user") as span:
                await asyncio.create_task(inner())
            assert seen == [span]

        with open("/dev/null", "w") as nowhere:
            app.provide(BatchSpanProcessor(ConsoleSpanExporter(out=nowhere)))
            spans = short(app.run(plain(main)))
        (link,) = named(spans, "task inner").links
        context = seen[0].get_span_context()
        assert int(link[1], 16) == context.span_id
        assert link[2] == {"whence.link": "user_span"}
        assert named(spans, "task inner").parent_id == named(spans, "task main").span_id

    @pytest.mark.parametrize("ended", [False, True])
    def test_a_span_that_goes_on_is_not_torn_from_what_is_done_in_it(
        self, app: Application, ended: bool
    ) -> None:
        """A timer that arms itself again roots a trace: in it the span that was current when it was
        armed is still seen while it goes on, for what is done there is a part of it."""
        seen: list[trace.Span] = []

        async def main() -> None:
            loop, done = asyncio.get_running_loop(), asyncio.Event()

            def tick(span: trace.Span | None) -> None:
                if span is not None:
                    if ended:
                        span.end()
                    seen.append(trace.get_current_span())
                    seen.append(span)
                    done.set()
                    return
                assert app.provider is not None
                made = app.provider.get_tracer("app").start_span("user")
                with use_span(made):
                    arm(made)

            def arm(span: trace.Span | None) -> None:
                loop.call_later(0.001, tick, span)

            arm(None)
            await done.wait()
            if not ended:
                seen[1].end()

        app.provide()
        app.run(main)
        assert isinstance(seen[0], ResourceSpan) is ended
        assert (seen[0] is seen[1]) is not ended

    def test_a_span_that_outlives_a_segment_is_not_torn_either(self, app: Application) -> None:
        """What goes on after a segment is of another trace than the span around it."""

        async def long(done: asyncio.Event) -> None:
            assert isinstance(trace.get_current_span(), ResourceSpan)
            lifetime = local.state.current
            assert isinstance(lifetime, SpanLifetime)
            Tracer().cut(lifetime, clock())
            assert not isinstance(trace.get_current_span(), ResourceSpan)
            done.set()

        async def main() -> None:
            done = asyncio.Event()
            with app.span("user"):
                await asyncio.create_task(long(done))
            assert done.is_set()

        app.provide()
        app.run(main)

    def test_a_provider_that_is_set_later_is_seen(self, app: Application) -> None:
        async def main() -> None:
            assert trace.get_current_span() is trace.INVALID_SPAN
            app.provide()
            with app.span("user"):
                await asyncio.create_task(asyncio.sleep(0))

        # A thread that sends the application's spans was started in it.
        check_drawing(
            short(app.run(plain(main))),
            """
            task main  PRODUCER
                user
                    task sleep
            """,
        )
