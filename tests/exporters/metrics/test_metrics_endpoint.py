"""Where Prometheus finds the metrics: port, path, who may ask."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from configured import settings
from receivers import free_port
from whence.engine.resource_types import EXECUTOR_JOB
from whence.exporters.metrics import endpoint as module
from whence.exporters.metrics import http_server as metrics_http
from whence.exporters.metrics.endpoint import Endpoint
from whence.exporters.metrics.prometheus import Exposition
from whence.sending.exporting import CannotExport

HOST = "127.0.0.1"


class Served:
    """An endpoint with a thread that serves it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.ends = False
        self._thread = threading.Thread(target=endpoint.serve, args=(lambda: self.ends,))
        self._thread.start()

    def close(self) -> None:
        self.ends = True
        self.endpoint.wake()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.endpoint.close()

    def ask(
        self, path: str = "/metrics", method: str = "GET", **headers: str
    ) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(HOST, self.endpoint.port, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer.headers


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def start(port: int = 0, host: str = HOST) -> Served:
        made.append(Served(Endpoint(settings(), host, port)))
        return made[-1]

    yield start
    for served in made:
        served.close()


Serve = Callable[..., Served]


def test_a_scrape_gets_the_text_format(serve: Serve) -> None:
    EXECUTOR_JOB.created += 3
    served = serve()
    status, text, headers = served.ask()
    EXECUTOR_JOB.restart()
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = text.splitlines()
    assert 'whence_resource_created_total{whence_type="ExecutorJob"} 3.0' in lines
    assert "# TYPE whence_resource_created_total counter" in lines
    assert "# TYPE whence_resource_active gauge" in lines
    assert "# TYPE whence_executor_queue_time_distribution_seconds histogram" in lines
    assert "# TYPE process_memory_usage_bytes gauge" in lines


def test_target_info_says_whose_they_are(serve: Serve) -> None:
    (line,) = [line for line in serve().ask()[1].splitlines() if line.startswith("target_info{")]
    for label in ('service_name="tests"', "service_instance_id=", "process_pid="):
        assert label in line


def test_openmetrics_for_who_takes_it(serve: Serve) -> None:
    _, text, headers = serve().ask(Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_a_scrape_sees_what_came_since_the_one_before(serve: Serve) -> None:
    served = serve()
    served.ask()
    EXECUTOR_JOB.created += 2
    text = served.ask()[1]
    EXECUTOR_JOB.restart()
    assert 'whence_resource_created_total{whence_type="ExecutorJob"} 2.0' in text


@pytest.mark.parametrize(
    ("path", "status"), [("/metrics/", 200), ("/metrics?x=1", 200), ("/", 404)]
)
def test_there_is_one_path(serve: Serve, path: str, status: int) -> None:
    assert serve().ask(path)[0] == status


def test_head_has_no_body(serve: Serve) -> None:
    status, text, headers = serve().ask(method="HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_nothing_but_reading_is_offered(serve: Serve) -> None:
    assert serve().ask(method="POST")[0] == 501


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200),
        ("localhost:1234", 200),
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("LOCALHOST", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("", 403),
    ],
)
def test_on_the_loopback_interface_only_its_names_are_answered(
    serve: Serve, name: str, status: int
) -> None:
    """A web page whose own name leads here must read nothing."""
    got, text, _ = serve().ask(Host=name)
    assert got == status
    assert ("whence_" in text) == (status == 200)


def test_elsewhere_any_name_is_answered(serve: Serve) -> None:
    assert serve(host="0.0.0.0").ask(Host="metrics.example")[0] == 200


def test_a_port_that_is_taken_makes_it_take_the_next_one(serve: Serve) -> None:
    first = serve(free_port())
    second = serve(first.endpoint.port)
    assert second.endpoint.port > first.endpoint.port
    assert f":{second.endpoint.port}/metrics" in second.endpoint.url
    assert second.ask()[0] == 200


def test_without_a_free_port_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PORTS", 1)
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotExport) as raised:
            Endpoint(settings(), HOST, port)
    assert str(raised.value).startswith(
        f"no metrics are served: ports {port} to {port} of 127.0.0.1 cannot be listened on ("
    )


def test_a_host_that_is_none_is_told() -> None:
    with pytest.raises(CannotExport, match=r"ports .* of no\.such\.host\.invalid cannot be"):
        Endpoint(settings(), "no.such.host.invalid", 9464)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED", ("no_such_package_of_prometheus.at_all",))
    with pytest.raises(CannotExport, match=r"pip install 'whence\[prometheus\]'"):
        Endpoint(settings(), HOST, 0)


def test_who_asks_nothing_keeps_others_waiting_for_a_moment_only(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "_PATIENCE", 0.1)
    served = serve()
    served.ask()
    with socket.create_connection((HOST, served.endpoint.port)):
        assert served.ask()[0] == 200


def test_who_does_not_wait_for_the_answer_breaks_nothing(serve: Serve) -> None:
    served = serve()
    for _ in range(20):
        with socket.create_connection((HOST, served.endpoint.port)) as asking:
            asking.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert served.ask()[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"A" * 70_000,
        b"GET /metrics HTTP/1.0\r\nHost: [::1\r\n\r\n",
        b"GET http://[ HTTP/1.0\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_breaks_nothing(serve: Serve, garbage: bytes) -> None:
    served = serve()
    with socket.create_connection((HOST, served.endpoint.port)) as asking:
        asking.sendall(garbage)
        asking.shutdown(socket.SHUT_WR)
    assert served.ask()[0] == 200


def test_metrics_that_cannot_be_read_are_an_error_of_that_scrape_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    with monkeypatch.context() as patch:
        patch.setattr(Exposition, "text", lambda *_: 1 / 0)
        status, text, _ = served.ask()
    assert status == 500
    assert text == "the metrics cannot be read (ZeroDivisionError: division by zero)\n"
    assert served.ask()[0] == 200


def test_it_ends_at_once_when_told(serve: Serve) -> None:
    served = serve()
    began = time.monotonic()
    served.ends = True
    served.endpoint.wake()
    served._thread.join(20)
    assert time.monotonic() - began < 5


def test_waking_one_that_is_closed_does_nothing() -> None:
    endpoint = Endpoint(settings(), HOST, 0)
    endpoint.close()
    endpoint.wake()
