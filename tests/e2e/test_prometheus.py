"""A real Prometheus and real programs: what it finds, of which process, and on which port."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from urllib.request import urlopen

import pytest

from launching import Launcher
from prometheus_server import WHY_NOT, PrometheusServer
from receivers import free_port

prometheus = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

SERVING = """
    import asyncio, sys, threading, time

    async def tick():
        await asyncio.sleep(0.01)

    async def main():
        done = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        while not done.done():
            await asyncio.gather(tick(), tick(), asyncio.to_thread(time.sleep, 0.001))
        print([thread.name for thread in threading.enumerate() if "asyncio" not in thread.name])

    asyncio.run(main())
"""
WHERE = re.compile(r"whence: metrics at (http://localhost:(\d+)/metrics)\n")


def served(child: "Popen[str]") -> tuple[str, int]:
    """Where a program says that its metrics are: the URL, the port."""
    assert child.stderr is not None
    for line in child.stderr:
        found = WHERE.fullmatch(line)
        if found:
            return found[1], int(found[2])
    raise AssertionError("it never said where its metrics are")


def start(launch: Launcher, *words: str, source: str = SERVING, **env: str) -> "Popen[str]":
    app = launch.write("app.py", source)
    return launch.start(*launch.whence, "run", "--export", "none", *words, app, env=env)


def scrape(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For Prometheus, whose data are large."""
    made = tmp_path / "server"
    made.mkdir()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@prometheus
def test_two_processes_of_a_service_are_told_apart(launch: Launcher, folder: Path) -> None:
    children = [start(launch, "--metrics-port", "0", "--service", "shop") for _ in range(2)]
    ports = [served(child)[1] for child in children]
    server = PrometheusServer(folder, {"shop": [f"127.0.0.1:{port}" for port in ports]})
    try:
        rates = 'sum by (instance) (rate(whence_resource_created_total{whence_type="Task"}[5s]))'
        server.wait(
            lambda: [sample.value > 10 for sample in server.query(rates)] == [True, True],
            "to see tasks of both",
        )
        targets = server.query("target_info")
        assert {target.labels["service_name"] for target in targets} == {"shop"}
        assert len({target.labels["service_instance_id"] for target in targets}) == 2
        pids = {int(target.labels["process_pid"]) for target in targets}
        assert pids == {child.pid for child in children}
        by_instance = (
            'sum by (service_instance_id) (whence_resource_active{whence_type="Task"} '
            "* on (instance) group_left(service_instance_id) target_info)"
        )
        assert len(server.query(by_instance)) == 2
    finally:
        server.stop()
    for child in children:
        out, err = child.communicate("\n", timeout=30)
        assert (child.returncode, out) == (0, "['MainThread']\n"), err


@prometheus
def test_every_kind_of_metric_has_a_meaning_for_it(launch: Launcher, folder: Path) -> None:
    child = start(launch, "--metrics-port", "0")
    _, port = served(child)
    server = PrometheusServer(folder, {"app": [f"127.0.0.1:{port}"]})
    try:
        server.wait(lambda: len(server.query("up offset 3s")) == 1, "to scrape for some seconds")

        def value(expr: str) -> float:
            ((_, found),) = server.query(expr)
            return found

        assert value("rate(process_cpu_time_seconds_total{cpu_mode='user'}[3s])") >= 0
        assert 1e6 < value("process_memory_usage_bytes") < 1e10
        assert 0 < value("whence_eventloop_utilization_ratio") <= 1
        assert 0 < value("whence_eventloop_delay_p99_seconds") < 10
        buckets = "rate(whence_executor_queue_time_distribution_seconds_bucket[3s])"
        of_gauge = value("whence_executor_queue_time_p50_seconds")
        of_histogram = value(f"histogram_quantile(0.5, {buckets})")
        assert of_histogram / 30 < of_gauge < of_histogram * 30
        count = value("whence_callback_run_time_distribution_seconds_count")
        total = value("whence_callback_run_time_distribution_seconds_sum")
        assert 0 < total / count < 0.1
        assert value('cpython_gc_collections_total{cpython_gc_generation="0"}') >= 0
        assert value("otel_sdk_processor_span_queue_capacity") == 65536
    finally:
        server.stop()
    child.communicate("\n", timeout=30)


# Ports


def test_the_port_asked_for_is_the_one(launch: Launcher) -> None:
    port = free_port()
    child = start(launch, "--metrics-port", str(port))
    assert served(child)[1] == port
    assert scrape(f"http://127.0.0.1:{port}/metrics").startswith("# HELP target_info")
    child.communicate("\n", timeout=30)


def test_of_the_processes_of_a_server_each_has_a_port_from_that_one_on(launch: Launcher) -> None:
    """As the workers of gunicorn, or of `uvicorn --workers`: forked by one that runs no loop."""
    source = """
        import asyncio, os, sys, warnings
        warnings.simplefilter("error")
        workers = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                asyncio.run(asyncio.sleep(3600))
            workers.append(pid)
        sys.stdin.readline()
        for pid in workers:
            os.kill(pid, 9)
            os.wait()
    """
    port = free_port()
    child = start(launch, "-v", "--metrics-port", str(port), source=source)
    ports = sorted(served(child)[1] for _ in range(2))
    assert ports[0] == port
    assert port < ports[1] < port + 100
    pids = {pid_of(scrape(f"http://localhost:{found}/metrics")) for found in ports}
    assert len(pids) == 2
    assert child.pid not in pids
    child.communicate("\n", timeout=30)


def test_a_forked_child_serves_its_own_and_the_parent_goes_on(launch: Launcher) -> None:
    source = """
        import asyncio, os, sys, warnings
        warnings.simplefilter("error")

        asyncio.run(asyncio.sleep(0))
        sys.stdin.readline()
        pid = os.fork()
        if pid == 0:
            asyncio.run(asyncio.sleep(3600))

        async def main():
            await asyncio.to_thread(sys.stdin.readline)
            os.kill(pid, 9)
            os.wait()

        asyncio.run(main())
    """
    child = start(launch, "-v", "--metrics-port", "0", source=source)
    url, _ = served(child)
    assert pid_of(scrape(url)) == child.pid
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    other, _ = served(child)
    assert pid_of(scrape(other)) != child.pid
    assert pid_of(scrape(url)) == child.pid
    child.communicate("\n", timeout=30)
    assert child.returncode == 0


def pid_of(text: str) -> int:
    found = re.search('process_pid="([0-9]+)"', text)
    assert found
    return int(found[1])


def test_ports_that_are_all_taken_are_told_and_the_program_runs(launch: Launcher) -> None:
    app = launch.write("app.py", "import asyncio; asyncio.run(asyncio.sleep(0.3)); print('ran')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65535))
        taken.listen()
        ran = launch.run("--export", "none", "--metrics-port", "65535", app)
    assert (ran.code, ran.out) == (0, "ran\n")
    assert "whence: no metrics are served: ports 65535 to 65535 of localhost cannot be" in ran.err


# Who has none


def test_without_a_loop_nothing_listens(launch: Launcher) -> None:
    ran = launch.run("--metrics-port", "0", launch.write("app.py", "print(1)"))
    assert (ran.code, ran.out) == (0, "1\n")
    assert "metrics at" not in ran.err


def test_quiet_is_quiet(launch: Launcher) -> None:
    app = launch.write("app.py", "import asyncio; asyncio.run(asyncio.sleep(0.3))")
    ran = launch.run("-q", "--export", "none", "--metrics-port", "0", app)
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_without_the_extra_one_line_says_what_to_install(launch: Launcher) -> None:
    launch.write(
        "sitecustomize.py",
        """
        import sys

        class Hiding:
            def find_spec(self, name, path=None, target=None):
                if name == "prometheus_client":
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Hiding())
        """,
    )
    app = launch.write("app.py", "import asyncio; asyncio.run(asyncio.sleep(0.3)); print('ran')")
    env = {"PYTHONPATH": str(launch.folder)}
    ran = launch.run("--export", "none", "--metrics-port", "0", app, env=env)
    assert (ran.code, ran.out) == (0, "ran\n")
    lines = [line for line in ran.err.splitlines() if "metrics" in line]
    assert lines == [
        "whence: no metrics are served: that needs more, pip install 'whence[prometheus]'"
    ], ran


def test_opentelemetrys_variables_do_the_same(launch: Launcher) -> None:
    port = free_port()
    child = launch.start(
        *launch.whence,
        "run",
        launch.write("app.py", SERVING),
        env={
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        },
    )
    assert served(child)[1] == port
    child.communicate("\n", timeout=30)


def test_one_that_the_application_serves_by_that_variable_is_not_served_again(
    launch: Launcher,
) -> None:
    source = """
        import asyncio
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider

        metrics.set_meter_provider(MeterProvider())
        asyncio.run(asyncio.sleep(0.3))
    """
    env = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_TRACES_EXPORTER": "none"}
    app = launch.write("app.py", source)
    assert "metrics at" not in launch.run(app, env=env).err
    # Who asks whence itself has both.
    assert "metrics at" in launch.run("--metrics-port", "0", app, env=env).err


def test_nothing_of_prometheus_is_imported_before_it_comes(launch: Launcher) -> None:
    source = """
        import asyncio, sys

        async def main():
            for _ in range(2):
                await asyncio.to_thread(sys.stdin.readline)
                late = ("prometheus_client", "http.server")
                print(*(name in sys.modules for name in late), flush=True)

        asyncio.run(main())
    """
    child = start(launch, "--metrics-port", "0", source=source)
    url, _ = served(child)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "False False\n"
    scrape(url)
    out, _ = child.communicate("\n", timeout=30)
    assert out == "True True\n"
