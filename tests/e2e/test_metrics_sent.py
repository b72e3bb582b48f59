"""Metrics of real programs: what is sent, when, by which process; and what the program notices."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launching import Finished, Launcher
from receivers import GrpcReceiver, HttpReceiver, attributes_of, black_hole, free_port
from rotel_agent import RotelAgent, why_not

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

WORK = """
    import asyncio, os, sys, threading, time

    async def fail():
        raise ValueError

    async def main():
        await asyncio.gather(fail(), return_exceptions=True)
        await asyncio.to_thread(time.sleep, 0.001)
        loop = asyncio.get_running_loop()
        loop.create_future()
        for _ in range(20):
            await asyncio.sleep(0.001)

    asyncio.run(main())
"""
OFTEN = {"OTEL_METRIC_EXPORT_INTERVAL": "50"}
ASKED = {"OTEL_METRICS_EXPORTER": "otlp"}


class Reported:
    """One collection as it arrived."""

    def __init__(self, request: Any) -> None:
        (of_resource,) = request.resource_metrics
        (of_scope,) = of_resource.scope_metrics
        self.resource = attributes_of(of_resource.resource)
        self.metrics = {metric.name: metric for metric in of_scope.metrics}

    def values(self, name: str) -> dict[tuple[Any, ...], float]:
        """The values of the attributes -> the value; nothing if it was not sent."""
        if name not in self.metrics:
            return {}
        metric = self.metrics[name]
        data = getattr(metric, metric.WhichOneof("data"))
        return {
            tuple(attributes_of(point).values()): getattr(point, point.WhichOneof("value"))
            for point in data.data_points
        }


def last(receiver: HttpReceiver | GrpcReceiver) -> Reported:
    return Reported(receiver.received.metrics[-1])


def run(launch: Launcher, endpoint: str, *words: str, **env: str) -> Finished:
    return launch.run("-q", "--endpoint", endpoint, *words, env=env)


def test_the_last_collection_says_all_that_there_was(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    ran = run(launch, http_receiver.url, launch.write("app.py", WORK), **ASKED)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    (request,) = http_receiver.received.metrics
    reported = Reported(request)
    assert reported.values("whence.resource.active")[("Task",)] == 0
    ended = reported.values("whence.resource.destroyed")
    assert ended[("Task", "failed")] == 1
    assert ended[("TimerHandle", "done")] == 20
    assert ended[("Future", "collected")] == 1
    assert reported.values("whence.resource.leaked")[("Future",)] == 1
    for measure in ("eventloop.delay", "callback.run_time", "executor.queue_time"):
        assert 0 < reported.values(f"whence.{measure}.max")[()] < 60, measure
    ((utilization,),) = (reported.values("whence.eventloop.utilization").values(),)
    assert 0 < utilization <= 1


def test_it_says_what_became_of_the_last_span(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    run(launch, http_receiver.url, "--min-duration", "0", launch.write("app.py", WORK), **ASKED)
    reported = last(http_receiver)
    sent = len(http_receiver.received.spans)
    exporter = ("otlp_span_exporter", "otlp_span_exporter/0")
    assert reported.values("otel.sdk.exporter.span.exported") == {
        exporter: sent,
        (*exporter, "_OTHER"): 0,
    }
    processed = reported.values("otel.sdk.processor.span.processed")
    assert sorted(processed.values()) == [0, sent]
    assert list(reported.values("otel.sdk.processor.span.queue.size").values()) == [0]


def test_spans_and_metrics_are_of_the_same_instance(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    run(launch, http_receiver.url, launch.write("app.py", WORK), **ASKED)
    of_spans = {resource["service.instance.id"] for resource in http_receiver.received.resources}
    assert of_spans == {last(http_receiver).resource["service.instance.id"]}


def test_they_come_again_and_again_while_the_program_runs(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, sys

        async def main():
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

        asyncio.run(main())
        """,
    )
    words = [*launch.whence, "run", "-q", "--endpoint", http_receiver.url, app]
    child = launch.start(*words, env=OFTEN)
    http_receiver.received.wait_for_metrics(3)
    assert child.poll() is None
    reported = last(http_receiver)
    assert reported.values("whence.resource.active")[("ExecutorJob",)] == 1
    child.communicate("\n", timeout=30)
    assert last(http_receiver).values("whence.resource.active")[("ExecutorJob",)] == 0


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_collector_hands_them_on(
    protocol: str, launch: Launcher, http_receiver: HttpReceiver, tmp_path: Path
) -> None:
    agent = RotelAgent(tmp_path, http_receiver.url, "http")
    try:
        url = agent.grpc if protocol == "grpc" else agent.http
        app = launch.write("app.py", WORK)
        ran = run(launch, url, "--protocol", protocol, app, **ASKED)
        assert ran.err == ""
        http_receiver.received.wait_for_metrics(1)
    finally:
        agent.stop()
    merged = {
        name: metric
        for request in http_receiver.received.metrics
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for name, metric in ((metric.name, metric) for metric in of_scope.metrics)
    }
    assert {"whence.resource.created", "whence.eventloop.delay.p99"} <= merged.keys()
    assert merged["whence.callback.run_time.distribution"].histogram.data_points[0].count > 20


# Who sends none


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ((), {}),
        (("--export", "none"), ASKED),
        (("--export", "console"), {}),
        ((), {"OTEL_METRICS_EXPORTER": "none"}),
    ],
    ids=["a program of a moment", "nothing is sent", "spans go elsewhere", "no metrics"],
)
def test_nobody_gets_metrics_who_did_not_ask(
    launch: Launcher, http_receiver: HttpReceiver, words: tuple[str, ...], env: dict[str, str]
) -> None:
    ran = run(launch, http_receiver.url, *words, launch.write("app.py", WORK), **env)
    assert ran.code == 0
    assert http_receiver.received.metrics == []


def test_a_program_without_a_loop_sends_none(launch: Launcher, http_receiver: HttpReceiver) -> None:
    ran = run(launch, http_receiver.url, launch.write("app.py", "print(1)"), **ASKED, **OFTEN)
    assert ran.out == "1\n"
    assert http_receiver.received.metrics == []


# Several processes


@forks
def test_a_forked_child_reports_for_itself(launch: Launcher, http_receiver: HttpReceiver) -> None:
    """Each with its own instance id, and nothing of the parent's numbers."""
    app = launch.write(
        "app.py",
        """
        import asyncio, os, sys, warnings
        warnings.simplefilter("error")

        async def main(sleeps):
            for _ in range(sleeps):
                await asyncio.sleep(0.001)

        asyncio.run(main(30))
        if os.fork() == 0:
            asyncio.run(main(7))
            sys.exit(0)
        _, status = os.wait()
        asyncio.run(main(5))
        sys.exit(status)
        """,
    )
    ran = run(launch, http_receiver.url, app, **ASKED)
    assert (ran.code, ran.err) == (0, "")
    timers = {
        report.resource["process.pid"]: (
            report.resource["service.instance.id"],
            report.values("whence.resource.created")[("TimerHandle",)],
        )
        for report in map(Reported, http_receiver.received.metrics)
    }
    assert sorted(number for _, number in timers.values()) == [7, 35]
    assert len({instance for instance, _ in timers.values()}) == 2


@forks
def test_they_go_on_after_a_fork(launch: Launcher, http_receiver: HttpReceiver) -> None:
    """The thread is gone for it, and comes back with the next event of the loop."""
    app = launch.write(
        "app.py",
        """
        import asyncio, os, sys, warnings
        warnings.simplefilter("error")

        async def main():
            for line in range(2):
                await asyncio.to_thread(sys.stdin.readline)
                if not line and os.fork() == 0:
                    os._exit(0)
            os.wait()

        asyncio.run(main())
        """,
    )
    words = [*launch.whence, "run", "-q", "--endpoint", http_receiver.url, app]
    child = launch.start(*words, env=OFTEN)
    assert child.stdin is not None
    http_receiver.received.wait_for_metrics(1)
    child.stdin.write("\n")
    child.stdin.flush()
    http_receiver.received.wait_for_metrics(len(http_receiver.received.metrics) + 3)
    out, err = child.communicate("\n", timeout=30)
    assert (child.returncode, out, err) == (0, "", "")


@forks
def test_children_of_multiprocessing_report_though_they_end_in_a_way_of_their_own(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, multiprocessing
        # On a busy machine it takes longer than the end of a child may.
        import whence.exporters.metrics.otlp

        def child():
            asyncio.run(asyncio.sleep(0.001))

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=child) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        """,
    )
    env = {"OTEL_TRACES_EXPORTER": "none", **ASKED}
    ran = run(launch, http_receiver.url, app, **env)
    assert (ran.code, ran.err) == (0, "")
    reports = [Reported(request) for request in http_receiver.received.metrics]
    timers = [report.values("whence.resource.created")[("TimerHandle",)] for report in reports]
    assert timers == [1, 1, 1]
    assert len({report.resource["service.instance.id"] for report in reports}) == 3
    assert http_receiver.received.spans == []


def test_children_that_are_started_report_for_themselves(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, sys

        async def main():
            if len(sys.argv) == 1:
                children = [
                    await asyncio.create_subprocess_exec(sys.executable, __file__, "child")
                    for _ in range(2)
                ]
                for child in children:
                    await child.wait()
            else:
                await asyncio.sleep(0.01)

        asyncio.run(main())
        """,
    )
    assert run(launch, http_receiver.url, app, **ASKED).code == 0
    reports = [Reported(request) for request in http_receiver.received.metrics]
    assert len({report.resource["service.instance.id"] for report in reports}) == 3
    assert {report.resource["service.name"] for report in reports} == {"app"}


# What the program notices


LISTING = """
    import asyncio, sys, threading, time

    async def main():
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            await asyncio.sleep(0.02)
            names = [thread.name for thread in threading.enumerate()]
            assert names == ["MainThread"] and threading.active_count() == 1, names

    asyncio.run(main())
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_program_sees_no_thread_of_it(
    protocol: str, launch: Launcher, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver
) -> None:
    receiver = grpc_receiver if protocol == "grpc" else http_receiver
    app = launch.write("app.py", LISTING)
    ran = run(launch, receiver.url, "--protocol", protocol, app, **OFTEN)
    assert (ran.code, ran.err) == (0, "")
    assert len(receiver.received.metrics) > 3


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nor_does_it_while_nobody_answers(protocol: str, launch: Launcher) -> None:
    """A call waits for its answer then, all the time."""
    app = launch.write("app.py", LISTING)
    with black_hole() as port:
        url = f"http://127.0.0.1:{port}"
        ran = run(launch, url, "--protocol", protocol, app, **OFTEN)
    assert ran.code == 0, ran


def test_nothing_of_it_is_a_resource(launch: Launcher, http_receiver: HttpReceiver) -> None:
    """Its connection, its look-ups and its threads are told to nobody."""
    app = launch.write(
        "app.py",
        """
        import asyncio
        import whence

        types = set()

        async def main():
            whence.create_hook(init=lambda _, name, *rest: types.add(name)).enable()
            await asyncio.sleep(1.2)
            print(*sorted(types))

        asyncio.run(main())
        """,
    )
    ran = run(launch, http_receiver.url, app, **OFTEN)
    assert len(http_receiver.received.metrics) > 3
    assert ran.out.split() == ["Future", "TimerHandle"], ran


STAYING = """
    import asyncio, sys, time

    async def main():
        await asyncio.sleep(1.1)

    asyncio.run(main())
    began = time.monotonic()
    import atexit
    atexit._run_exitfuncs()
    print(time.monotonic() - began)
"""


@pytest.fixture(params=["nobody", "a black hole", "spans alone"])
def endpoint(request: pytest.FixtureRequest, http_receiver: HttpReceiver) -> Iterator[str]:
    """Where metrics do not arrive."""
    if request.param == "nobody":
        yield f"http://127.0.0.1:{free_port()}"
    elif request.param == "spans alone":
        http_receiver.metrics_status = 404
        yield http_receiver.url
    else:
        with black_hole() as port:
            yield f"http://127.0.0.1:{port}"


def test_where_they_do_not_arrive_the_end_is_in_time_and_spans_say_it_alone(
    launch: Launcher, endpoint: str
) -> None:
    app = launch.write("app.py", STAYING)
    ran = run(launch, endpoint, app, OTEL_METRIC_EXPORT_INTERVAL="300")
    assert ran.code == 0, ran
    assert float(ran.out) < 2.3
    lines = ran.err.splitlines()
    assert len(lines) <= 1, ran
    assert all(line.startswith("whence: no OTLP receiver at ") for line in lines)


def test_a_receiver_that_comes_and_goes_is_told_of_once_each(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, sys

        async def main():
            await asyncio.to_thread(sys.stdin.readline)

        asyncio.run(main())
        """,
    )
    http_receiver.metrics_status = 503
    words = [*launch.whence, "run", "-q", "--endpoint", http_receiver.url, app]
    child = launch.start(*words, env=OFTEN)
    assert child.stderr is not None
    down = child.stderr.readline()
    assert down.startswith(f"whence: the OTLP receiver at {http_receiver.url} refused metrics (503")
    http_receiver.metrics_status = 200
    up = child.stderr.readline()
    assert up == f"whence: the OTLP receiver at {http_receiver.url} takes metrics again\n"
    _, err = child.communicate("\n", timeout=30)
    assert err == ""


def test_two_programs_on_two_ports_of_nobody_end_as_fast_as_one(launch: Launcher) -> None:
    """Spans and metrics are sent at the same time, not one after the other."""
    app = launch.write("app.py", STAYING)
    with black_hole() as one, black_hole() as other:
        ran = run(
            launch,
            f"http://127.0.0.1:{one}",
            app,
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"http://127.0.0.1:{other}/v1/metrics",
        )
    assert float(ran.out) < 2.3, ran
