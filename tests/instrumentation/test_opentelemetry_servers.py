"""Requests of which the application has a SERVER span of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.instrumentation import asgi, utils
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from application import Application, attached, named, plain, short, with_span
from drawing import check_drawing
from whence.engine import SpanLifetime, close_scope, local, open_scope
from whence.engine.resource_types import REQUEST
from whence.instrumentation.opentelemetry_servers import _decide
from whence.instrumentation.opentelemetry_spans import ResourceSpan


class TestRequests:
    """A request of which the application has a SERVER span."""

    def test_ours_gives_way(self, app: Application) -> None:
        async def work() -> None:
            await asyncio.sleep(0)

        async def main() -> None:
            with _request():
                before = asyncio.create_task(work())
                with app.span("user GET", context=Context(), kind=SpanKind.SERVER):
                    await asyncio.create_task(work())
                await before

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
            user GET  SERVER
                2 x task work
            """,
        )

    def test_above_theirs_it_stays_and_is_no_server(self, app: Application) -> None:
        async def main() -> None:
            with _request(), app.span("user GET", kind=SpanKind.SERVER):
                await asyncio.sleep(0)

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
            request  <- task main
                user GET  SERVER
            """,
        )

    def test_a_span_of_another_kind_takes_no_place(self, app: Application) -> None:
        async def main() -> None:
            with _request(), app.span("user root", context=Context()):
                await asyncio.create_task(asyncio.sleep(0))

        app.provide()
        check_drawing(
            short(app.run(plain(main))),
            """
            task main
            request  SERVER <- task main
            user root
                task sleep
            """,
        )

    def test_one_that_they_have_sampled_out_is_out(self, app: Application) -> None:
        """By chance, say: half of the traces, and ours would be of the other half."""

        async def main() -> None:
            unsampled = SpanContext(0xABC, 0x12, is_remote=False, trace_flags=TraceFlags(0))
            with _request(), attached(with_span(NonRecordingSpan(unsampled))):
                await asyncio.create_task(asyncio.sleep(0))

        app.provide()
        check_drawing(short(app.run(plain(main))), "task main")

    def test_where_theirs_go_elsewhere_ours_stays(self, app: Application) -> None:
        async def main() -> None:
            theirs = app.span("user GET", context=Context(), kind=SpanKind.SERVER)
            with _request(), theirs:
                await asyncio.sleep(0)

        with open("/dev/null", "w") as nowhere:
            app.provide(BatchSpanProcessor(ConsoleSpanExporter(out=nowhere)))
            spans = short(app.run(plain(main)))
        assert named(spans, "request").kind == "SERVER"

    def test_a_server_instrumentation_does_not_see_ours(self, app: Application) -> None:
        """Else it would make no SERVER span, and lose the remote parent."""

        def look(*_: object, **__: object) -> trace.Span:
            return trace.get_current_span()

        async def main() -> None:
            with _request():
                assert isinstance(trace.get_current_span(), ResourceSpan)
                assert _decide(look, None, (), {}) is trace.INVALID_SPAN
                with attached(context_api.set_value("key", 1)):
                    assert _decide(look, None, (), {}) is trace.INVALID_SPAN
                with app.span("user") as span:
                    assert _decide(look, None, (), {}) is span
                assert isinstance(trace.get_current_span(), ResourceSpan)

        app.provide()
        app.run(main)

    def test_it_does_not_though_it_was_imported_before_the_agent(self, app: Application) -> None:
        name = "_start_internal_or_server_span"
        before = vars(asgi)[name]
        app.provide()
        with app.watched():
            for module in (asgi, utils):
                assert vars(module)[name] is not before
        assert vars(asgi)[name] is vars(utils)[name] is before


class _Served:
    """What a request is of."""


@contextmanager
def _request() -> Iterator[None]:
    served = _Served()
    scope = open_scope(local.state, REQUEST, served)
    assert scope is not None
    assert isinstance(scope.lifetime, SpanLifetime)
    scope.lifetime.name = "request"
    try:
        yield
    finally:
        close_scope(local.state, scope)
