"""From the ring to the exporters in real programs: ends, outages, forks, and what is disturbed."""

import os
import signal
import time
from typing import Any

import pytest

from launching import Finished, Launcher
from receivers import GrpcReceiver, HttpReceiver, answering, attributes_of, black_hole, free_port

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

WORK = """
    import asyncio

    async def work(number):
        await asyncio.sleep(0.01)

    async def main():
        await asyncio.gather(*(work(number) for number in range(5)))

    asyncio.run(main())
"""
SPANS_OF_WORK = 11
"""main, and five tasks with a timer each."""


def run(launch: Launcher, endpoint: str, *words: str, **more: Any) -> Finished:
    return launch.run("--endpoint", endpoint, *words, **more)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_program_of_a_moment_is_seen_whole(
    launch: Launcher, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver, protocol: str
) -> None:
    """All that exporting needs is imported while the program ends."""
    receiver = grpc_receiver if protocol == "grpc" else http_receiver
    app = launch.write("app.py", WORK)
    ran = run(launch, receiver.url, "--protocol", protocol, app)
    assert ran.code == 0
    assert len(receiver.received.spans) == SPANS_OF_WORK, ran.err
    assert receiver.received.resources[0]["service.name"] == "app"


def test_spans_arrive_while_the_program_runs(launch: Launcher, http_receiver: HttpReceiver) -> None:
    app = launch.write("app.py", WORK + "\n    input()\n")
    child = launch.start(*launch.whence, "run", "--endpoint", http_receiver.url, app)
    http_receiver.received.wait_for(SPANS_OF_WORK)
    assert child.poll() is None
    child.communicate("\n", timeout=30)


def test_what_is_open_at_the_end_is_a_span(launch: Launcher, http_receiver: HttpReceiver) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio

        async def never():
            await asyncio.get_running_loop().create_future()

        async def main():
            global kept
            kept = asyncio.create_task(never())
            await asyncio.sleep(0.05)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        """,
    )
    ran = run(launch, http_receiver.url, app)
    spans = {span.name: attributes_of(span) for span in http_receiver.received.spans}
    assert spans["task never"]["whence.outcome"] == "open", ran
    assert spans["task main"]["whence.outcome"] == "done"


def test_a_thread_that_never_ends_is_a_span_of_a_program_without_a_loop(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    """Nothing was kept before, so there is no sender thread; newer Pythons start none so late."""
    app = launch.write(
        "app.py",
        """
        import threading, time

        def watch():
            threading.Event().wait()

        threading.Thread(target=watch, daemon=True).start()
        time.sleep(0.05)
        """,
    )
    ran = run(launch, http_receiver.url, app)
    assert http_receiver.received.names == ["thread watch"], ran


LISTING = """
    import asyncio, threading, time

    async def main():
        for _ in range(8):
            await asyncio.sleep(0.05)
            print(threading.active_count(), [t.name for t in threading.enumerate()])

    asyncio.run(main())
    until = time.monotonic() + 20
    while threading.active_count() > 1 and time.monotonic() < until:
        time.sleep(0.01)
    print(threading.active_count())
"""


def test_what_the_program_lists_stays_as_it_was(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    ran = run(launch, http_receiver.url, launch.write("app.py", LISTING))
    assert len(http_receiver.received.spans) == 9
    assert ran.out.splitlines() == ["1 ['MainThread']"] * 8 + ["1"]


def test_with_grpc_the_program_may_find_a_dummy_while_a_request_is_on_its_way(
    launch: Launcher, grpc_receiver: GrpcReceiver
) -> None:
    """gRPC asks `threading` for the current thread; afterwards nothing is left of it."""
    ran = run(launch, grpc_receiver.url, "--protocol", "grpc", launch.write("app.py", LISTING))
    assert len(grpc_receiver.received.spans) == 9
    *while_running, last = ran.out.splitlines()
    assert set(while_running) <= {"1 ['MainThread']", "2 ['MainThread', 'Dummy-1']"}
    assert "1 ['MainThread']" in while_running
    assert last == "1"


def test_nothing_is_imported_before_there_is_anything_to_send(launch: Launcher) -> None:
    app = launch.write(
        "app.py",
        """
        import sys
        ours = {name.partition(".")[0] for name in sys.modules}
        print(ours & {"opentelemetry", "grpc", "google", "threading", "asyncio", "logging"})
        """,
    )
    ran = run(launch, f"http://127.0.0.1:{free_port()}", app)
    assert ran.out == "set()\n"
    assert "no OTLP receiver" not in ran.err


def test_export_none_sends_nothing_and_imports_nothing(launch: Launcher) -> None:
    app = launch.write("app.py", WORK + "\n    import sys; print('opentelemetry' in sys.modules)\n")
    ran = launch.run("--export", "none", app)
    assert ran.out == "False\n"
    assert ran.code == 0


def test_after_the_end_nothing_is_held_and_it_can_begin_again(launch: Launcher) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, whence
        from whence.sending import pipeline
        from whence.engine import ring

        def work():
            asyncio.run(asyncio.sleep(0.005))
            return len(ring), pipeline.counts().sent

        def attach():
            whence.attach(export="file", output="out.jsonl")

        attach()
        work()
        pipeline.stop()
        pipeline.stop()
        print(work())
        whence.detach()
        print(work())
        attach()
        work()
        whence.detach()
        print(pipeline.counts())
        """,
    )
    ran = launch(launch.python, app)
    assert ran.out.splitlines() == [
        "(0, 2)",
        "(0, 2)",
        "Counts(counted=0, dropped=0, over_rate=0, sent=2, unsampled=0)",
    ], ran
    assert (launch.folder / "out.jsonl").read_text().count('"spanId"') == 4


TIMED = """
    import asyncio, sys, time, whence
    from whence.sending import pipeline

    async def main():
        for _ in range(5):
            await asyncio.sleep(0.01)

    whence.attach(endpoint=sys.argv[1], protocol=sys.argv[2])
    asyncio.run(main())
    # Longer than the sender gathers, or not at all.
    time.sleep(float(sys.argv[3]))
    before = time.monotonic()
    whence.detach()
    print(time.monotonic() - before)
    print(pipeline.counts().sent, pipeline.counts().dropped)
"""
SPANS_OF_TIMED = 6


def check_timed(launch: Launcher, port: int, protocol: str, gathered: str, seconds: float) -> None:
    app = launch.write("app.py", TIMED)
    url = f"http://127.0.0.1:{port}"
    ran = launch(launch.python, app, url, protocol, gathered)
    taken, counts = ran.out.splitlines()
    assert float(taken) < seconds, ran
    assert counts == f"0 {SPANS_OF_TIMED}", ran
    lines = ran.err.splitlines()
    assert [line.startswith(f"whence: no OTLP receiver at {url} (") for line in lines] == [True]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("gathered", ["0", "0.5"])
class TestAReceiverThatIsNone:
    """The end is in time, all is counted, and one line says so."""

    def test_nobody_listens(self, launch: Launcher, protocol: str, gathered: str) -> None:
        check_timed(launch, free_port(), protocol, gathered, 2.2)

    def test_nobody_answers(self, launch: Launcher, protocol: str, gathered: str) -> None:
        with black_hole() as port:
            if gathered == "0":
                check_timed(launch, port, protocol, gathered, 2.2)

    def test_what_answers_is_something_else(
        self, launch: Launcher, protocol: str, gathered: str
    ) -> None:
        with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
            check_timed(launch, port, protocol, gathered, 2.2)


def test_one_that_hangs_does_not_keep_another_from_its_spans(
    launch: Launcher,
) -> None:
    app = launch.write("app.py", WORK)
    with black_hole() as port:
        ran = run(
            launch, f"http://127.0.0.1:{port}", "--export", "otlp,file", "-o", "out.jsonl", app
        )
    assert "no OTLP receiver" in ran.err
    assert "task main" in (launch.folder / "out.jsonl").read_text()


def test_the_end_can_be_interrupted(launch: Launcher) -> None:
    """Ctrl-C while the last spans are being sent."""
    app = launch.write("app.py", WORK + "\n    print('ending', flush=True)\n")
    with black_hole() as port:
        env = {"WHENCE_ENDPOINT": f"http://127.0.0.1:{port}", "WHENCE_ATTACH": "1"}
        child = launch.start(*launch.whence, "run", app, env=env)
        assert child.stdout is not None
        assert child.stdout.readline() == "ending\n"
        time.sleep(0.3)
        before = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert time.monotonic() - before < 1.5
    assert "Traceback" not in err


# Forks


@forks
def test_a_forked_child_sends_its_own_and_nothing_of_the_parents(
    launch: Launcher, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, os, sys, time

        async def child_work():
            await asyncio.sleep(0.01)

        async def parent_work():
            await asyncio.sleep(0.01)

        asyncio.run(parent_work())
        if sys.argv[1] == "connected":
            time.sleep(0.6)
        if os.fork() == 0:
            asyncio.run(child_work())
            sys.exit(0)
        pid, status = os.wait()
        asyncio.run(parent_work())
        sys.exit(status)
        """,
    )
    for receiver, protocol in ((http_receiver, "http/protobuf"), (grpc_receiver, "grpc")):
        for when in ("connected", "at once"):
            receiver.received.requests.clear()
            ran = run(launch, receiver.url, "--protocol", protocol, app, when)
            assert ran.code == 0, ran
            names = sorted(receiver.received.names)
            assert names == sorted(
                ["task parent_work", "timer sleep"] * 2 + ["task child_work", "timer sleep"]
            ), ran
            of_process: dict[Any, set[str]] = {}
            for request, resource in zip(
                receiver.received.requests, receiver.received.resources, strict=True
            ):
                key = (resource["process.pid"], resource["service.instance.id"])
                spans = request.resource_spans[0].scope_spans[0].spans
                of_process.setdefault(key, set()).update(span.name for span in spans)
            assert sorted(map(sorted, of_process.values())) == [
                ["task child_work", "timer sleep"],
                ["task parent_work", "timer sleep"],
            ]


@forks
def test_a_fork_finds_no_thread_of_ours(launch: Launcher, http_receiver: HttpReceiver) -> None:
    """Python warns of a fork of several threads, and some programs make errors of warnings."""
    app = launch.write(
        "app.py",
        """
        import asyncio, os, time

        async def main():
            await asyncio.sleep(0.01)

        for _ in range(5):
            asyncio.run(main())
            time.sleep(0.3)
            if os.fork() == 0:
                os._exit(0)
            os.wait()
        """,
    )
    ran = run(launch, http_receiver.url, app, env={"PYTHONWARNINGS": "error::DeprecationWarning"})
    assert ran.code == 0
    assert "Warning" not in ran.err
    assert len(http_receiver.received.spans) == 10


@forks
def test_children_of_multiprocessing_send_before_they_end(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    """They end without atexit."""
    app = launch.write(
        "app.py",
        """
        import asyncio, multiprocessing

        async def inside():
            await asyncio.sleep(0.01)

        def child():
            asyncio.run(inside())

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=child) for _ in range(3)]
            for process in children:
                process.start()
            for process in children:
                process.join()
            assert [process.exitcode for process in children] == [0, 0, 0]
        """,
    )
    ran = run(launch, http_receiver.url, app)
    assert ran.code == 0, ran
    names = http_receiver.received.names
    assert names.count("task inside") == 3, ran
    pids = {resource["process.pid"] for resource in http_receiver.received.resources}
    assert len(pids) >= 3


@forks
def test_a_fork_while_exporters_are_imported_leaves_no_module_locked(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    app = launch.write(
        "app.py",
        """
        import asyncio, os, sys

        async def main():
            await asyncio.sleep(0.002)

        asyncio.run(main())  # the sender thread begins to import
        if os.fork() == 0:
            import opentelemetry.sdk.trace, http.client, urllib.request
            asyncio.run(main())
            sys.exit(0)
        _, status = os.wait()
        sys.exit(status)
        """,
    )
    for _ in range(5):
        assert run(launch, http_receiver.url, app).code == 0
    assert len(http_receiver.received.spans) == 20
