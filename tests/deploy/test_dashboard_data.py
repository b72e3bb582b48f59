"""Every question of the dashboard, put to a real Prometheus that scrapes the shop under load."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import pytest

from dashboards import Question, questions
from launching import Launcher
from prometheus_server import WHY_NOT, PrometheusServer
from receivers import HttpReceiver, free_port

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

SHOP = Path(__file__).parent.parent.parent / "examples" / "shop"
RANGE = "10s"
"""In place of Grafana's, which is a minute: here a sample comes each 0.2 s."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """It has seen the shop for some seconds, and a block."""
    folder = tmp_path_factory.mktemp("shop")
    launch, receiver = Launcher(folder), HttpReceiver()
    port = free_port()
    server = PrometheusServer(folder, {"shop": [f"127.0.0.1:{port}"]})
    launch.start(
        *launch.whence,
        *("run", "-q", "--no-child", "--endpoint", receiver.url, "--metrics-port", str(port)),
        *(str(SHOP), "--port", "0", "--load", "4"),
    )
    try:
        server.wait(
            lambda: any(
                sample.value >= 2 for sample in server.query("increase(whence_blocked_total[10s])")
            ),
            "to see that something blocked",
        )
        yield server
    finally:
        launch.close()
        server.stop()
        receiver.close()


def one(prometheus: PrometheusServer, expr: str) -> float:
    (sample,) = prometheus.query(expr)
    return sample.value


@pytest.mark.parametrize(
    "asked", questions(RANGE), ids=lambda asked: f"{asked.panel}: {asked.expr}"
)
def test_a_panel_has_something_to_show(asked: Question, prometheus: PrometheusServer) -> None:
    samples = prometheus.query(asked.expr)
    assert samples
    assert all(isfinite(sample.value) and sample.value >= 0 for sample in samples), samples


def test_the_service_can_be_chosen_and_then_its_processes(prometheus: PrometheusServer) -> None:
    (target,) = prometheus.query('target_info{job!="collectors"}')
    assert target.labels["service_name"] == "shop"
    assert target.labels["service_instance_id"]
    instance = target.labels["instance"]
    chosen = questions(RANGE, instance=instance, service="shop")
    other = questions(RANGE, instance="another", service="shop")
    assert prometheus.query(chosen[0].expr)
    assert not prometheus.query(other[0].expr)


def test_the_numbers_are_those_of_a_shop(prometheus: PrometheusServer) -> None:
    types = {s.labels["whence_type"] for s in prometheus.query("whence_resource_active > 0")}
    assert {"Task", "Transport", "Thread", "Server"} <= types
    assert one(prometheus, 'whence_resource_leaked_total{whence_type="Future"}') >= 1
    outcomes = "sum by (whence_outcome) (whence_resource_destroyed_total) > 0"
    ended = {sample.labels["whence_outcome"] for sample in prometheus.query(outcomes)}
    assert {"done", "failed", "closed"} <= ended
    (busy,) = (asked for asked in questions(RANGE) if asked.panel == "Event loop busy")
    assert 0 < one(prometheus, busy.expr) <= 1


def test_the_report_that_blocks_is_the_longest_step(prometheus: PrometheusServer) -> None:
    longest = one(prometheus, "max_over_time(whence_callback_run_time_max_seconds[10s])")
    assert 0.150 <= longest < 10
    buckets = "sum by (le) (whence_callback_run_time_distribution_seconds_bucket)"
    half, most = (one(prometheus, f"histogram_quantile({q}, {buckets})") for q in (0.5, 1.0))
    assert half < 0.010
    assert most >= 0.150


def test_nothing_of_the_agent_is_lost_on_the_way(prometheus: PrometheusServer) -> None:
    assert one(prometheus, 'sum(otel_sdk_exporter_span_exported_total{error_type=""})') > 0
    assert one(prometheus, 'sum(otel_sdk_exporter_span_exported_total{error_type!=""})') == 0
    assert one(prometheus, 'sum(otel_sdk_processor_span_processed_total{error_type!=""})') == 0
