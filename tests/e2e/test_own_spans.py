"""Programs with OpenTelemetry of their own, beside the agent: what both send, as one tree."""

import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from importlib.util import find_spec
from typing import Any

import pytest

from drawing import check_drawing
from launching import Launcher
from receivers import HttpReceiver
from seen import SeenSpan, spans_of
from services import CALLER
from tracing import PROGRAMS

SAMPLED, UNSAMPLED = (f"00-{CALLER[0]}-{CALLER[1]}-{flags}" for flags in ("01", "00"))

_OF_TELEMETRY = (
    "thread BatchProcessor",
    "thread LoggerProvider",
    "executor OTELRes",
    "executor ServiceInst",
)
"""Ours of the threads in which the application's SDK sends, and looks for its resource."""


CONFIGURED = """
    import runpy, sys
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs a program with a provider, and without any instrumentation."""


class Party:
    """Starts programs that send their spans, and the agent's, to one receiver."""

    def __init__(self, launch: Launcher, receiver: HttpReceiver) -> None:
        self.launch = launch
        self._receiver = receiver
        self._seen = 0
        self._instrument = str(launch.scripts() / "opentelemetry-instrument")
        self.env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_LOG_CORRELATION": "true",
            "OTEL_SERVICE_NAME": "shop",
            "WHENCE_MIN_DURATION": "0",
        }

    def words(self, order: str, program: str) -> list[str]:
        """The command that runs a program instrumented by OpenTelemetry, and with the agent."""
        path, python = str(PROGRAMS / f"{program}.py"), self.launch.python
        whence = [*self.launch.whence, "run", "-q", "--slow", "60000"]
        return {
            "by itself": [*whence, self.launch.write("configured.py", CONFIGURED), path],
            "alone": [self._instrument, python, path],
            "whence first": [*whence, self._instrument, python, path],
            "whence second": [self._instrument, *whence, path],
        }[order]

    def serve(self, order: str, program: str, *paths: str, **env: str) -> list[SeenSpan]:
        """Run a server, and ask it on one connection: for the first path as a caller that samples,
        and as one that does not; then for each."""
        child = self.launch.start(*self.words(order, program), env=self.env | env)
        assert child.stdout is not None
        port = child.stdout.readline()
        assert port, child.communicate()
        with closing(HTTPConnection("127.0.0.1", int(port), timeout=30)) as connection:
            for caller in (SAMPLED, UNSAMPLED):
                _get(connection, paths[0], traceparent=caller)
            for path in paths:
                _get(connection, path)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        return self.sent()

    def sent(self) -> list[SeenSpan]:
        """The spans of both that have arrived since the last time."""
        spans = spans_of(self._receiver.received.requests)[self._seen :]
        self._seen += len(spans)
        return [span for span in spans if not span.name.startswith(_OF_TELEMETRY)]


@pytest.fixture
def party(launch: Launcher, http_receiver: HttpReceiver) -> Party:
    return Party(launch, http_receiver)


def _get(connection: HTTPConnection, path: str, **headers: str) -> None:
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as answer:
        answer.read()


def theirs(spans: Sequence[SeenSpan]) -> Counter[Any]:
    """What the application has exported, but for ids, times and parents."""
    return Counter(
        (span.scope, span.name, span.kind, span.status, len(span.events))
        for span in spans
        if span.scope != "whence"
    )


WEB = """
    task main
    server  closed <- task main
    signal  closed <- task main
    accept  closed <- server
    task RequestHandler.start  <- accept
    GET /items/{name}  SERVER under something that was not seen
        2 x task price
            timer sleep
        executor stock
    GET /items/{name}  SERVER
        2 x task price
            timer sleep
        executor stock
    GET /slow  SERVER
        timer sleep
    GET /broken  SERVER
"""

FASTAPI = """
    task LifespanOn.main
    server  closed
    accept  closed <- server
    GET /items/{name}  SERVER under something that was not seen
        2 x GET /items/{name} http send
        2 x task price
            timer sleep
        executor stock
    GET /items/{name}  SERVER
        2 x GET /items/{name} http send
        2 x task price
            timer sleep
        executor stock
    GET /shops/{shop}/plain/{name}  SERVER
        2 x GET /shops/{shop}/plain/{name} http send
        executor plain
    GET /slow  SERVER
        2 x GET /slow http send
        timer sleep
"""


CONSULT = """
    task main
        task ask_by_aiohttp
            GET  CLIENT
                connect  CLIENT
                GET /items/{name}  SERVER
                    task price
                        timer sleep
            task _wait_for_close
        task ask_by_httpx
            GET  CLIENT
                task try_connect
                    connect  CLIENT
                GET /items/{name}  SERVER
                    task price
                        timer sleep
        work
            executor note
    server  closed <- task main
    2 x accept  closed <- server
    2 x task RequestHandler.start  cancelled <- accept
"""

OWN_SPANS = """
    task main{kind}
        task sell
            sell
                2 x task query
                    query
                        timer sleep
                executor stock
                    stock
            task query
                query
                    timer sleep
        task answer
    task query  under something that was not seen
        query
            timer sleep
"""

ORDERS = {"whence first": "asyncio", "whence second": "uvloop"}
"""How the agent and OpenTelemetry's come to the program, and the loop that it runs on then."""


def loop_of(order: str) -> str:
    return ORDERS[order] if find_spec("uvloop") is not None else "asyncio"


SERVERS = [
    ("web", ("/items/tea", "/slow", "/broken"), WEB),
    ("fastapi_service", ("/items/tea", "/slow", "/shops/1/plain/tea"), FASTAPI),
]


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
@pytest.mark.parametrize(("program", "paths", "drawing"), SERVERS)
def test_a_request_is_one_trace_with_the_applications_server_span(
    party: Party, program: str, paths: tuple[str, ...], drawing: str
) -> None:
    """What a caller samples is sampled, what it does not is not, and the application exports what
    it would without the agent."""
    alone = party.serve("alone", program, *paths, HTTP="h11", LOOP="asyncio")
    assert all(span.scope != "whence" for span in alone)
    for order in ORDERS:
        spans = party.serve(order, program, *paths, HTTP="h11", LOOP=loop_of(order))
        check_drawing(spans, drawing)
        assert theirs(spans) == theirs(alone)
        servers = [span for span in spans if span.kind == "SERVER"]
        assert len({span.trace_id for span in servers}) == len(servers) == len(paths) + 1
        (continued,) = [span for span in servers if span.parent_id]
        assert (continued.trace_id, continued.parent_id) == CALLER


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
@pytest.mark.skipif(find_spec("fastapi.telemetry") is None, reason="of newer versions of FastAPI")
def test_a_framework_may_make_the_server_span_itself(party: Party) -> None:
    paths = ("/items/tea", "/slow", "/shops/1/plain/tea")
    spans = party.serve("by itself", "fastapi_service", *paths, HTTP="httptools", LOOP="asyncio")
    servers = {span.trace_id: span for span in spans if span.kind == "SERVER"}
    assert {span.scope for span in servers.values()} == {"fastapi"}
    inside = Counter(span.name for span in spans if span.trace_id in servers)
    assert inside["task price"] == 4, "for the one who has sampled it, and for the one who asks"
    assert inside["executor stock"] == 2
    assert inside["executor plain"] == 1
    assert len(servers) == len(paths) + 1


def test_what_a_program_asks_of_others_is_in_its_tree(party: Party) -> None:
    """Clients carry it to the server, through what both instrumentations see of it; a line of the
    log says where it was written."""
    alone = party.launch(*party.words("alone", "consult"), env=party.env)
    without = theirs(party.sent())
    assert alone.code == 0, alone.err
    for order in ORDERS:
        ran = party.launch(*party.words(order, "consult"), env=party.env)
        assert ran.code == 0, ran.err
        spans = party.sent()
        check_drawing(spans, CONSULT)
        assert theirs(spans) == without
        logged = re.findall(r"trace_id=(\w+) span_id=(\w+) .* - (\w+)$", ran.err, re.MULTILINE)
        written = [
            (int(trace, 16), int(span, 16)) for trace, span, word in logged if word[0] in "pn"
        ]
        by_ids = {(int(span.trace_id, 16), int(span.span_id, 16)): span for span in spans}
        assert [by_ids[ids].name for ids in written] == ["task price"] * 2 + ["executor note"]
        (work,) = [span for span in spans if span.name == "work"]
        assert work.attributes["noted"] is True, "the current span was told, from another thread"


def test_what_a_program_asks_of_a_cache_is_in_its_tree(party: Party, redis: str) -> None:
    ran = party.launch(*party.words("whence first", "cache"), env=party.env | {"REDIS": redis})
    assert ran.code == 0, ran.err
    spans = party.sent()
    asked = [span for span in spans if span.scope == "opentelemetry.instrumentation.redis"]
    below = {span.span_id: span.name for span in spans}
    assert Counter((below[span.parent_id], span.name) for span in asked) == {
        ("task price", "GET"): 6,
        ("task price", "SET"): 3,
        ("task stock", "EXISTS EXISTS EXISTS"): 1,
        ("task order", "PUBLISH"): 4,
    }
    connected = [below[span.parent_id] for span in spans if span.name == "connect"]
    assert connected == ["GET", "PUBLISH"], "who first asks for something makes the connection"


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_program_may_configure_opentelemetry_whenever_it_likes(party: Party, when: str) -> None:
    path = str(PROGRAMS / "own_spans.py")
    ran = party.launch(party.launch.python, path, when, env=party.env)
    assert (ran.code, ran.err) == (0, "")
    spans = party.sent()
    # A thread that sends the application's spans is started in the task, and outlives it.
    check_drawing(spans, OWN_SPANS.format(kind="  PRODUCER" if when == "during" else ""))
    (continued,) = [span for span in spans if span.parent_id == CALLER[1]]
    assert continued.trace_id == CALLER[0]
    assert {span.resource["service.name"] for span in spans} == {"shop"}


def test_what_becomes_another_program_by_exec_says_once_that_it_starts(party: Party) -> None:
    """As `opentelemetry-instrument` does, which is a Python program with the agent itself."""
    hello = party.launch.write("hello.py", "print('hello')")
    words = party.words("whence first", "consult")
    words[words.index("-q") :] = [*words[words.index("-q") + 1 : -1], hello]
    ran = party.launch(*words, env=party.env)
    assert ran.out == "hello\n"
    assert [line for line in ran.err.splitlines() if " pid " in line] == ran.err.splitlines()[:1]
