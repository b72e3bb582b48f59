"""Who may ask, and what is given: nothing to other sites, no file but the page's."""

import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest

from dashboard_server import DashboardServer
from otlp_requests import span, traces

BODY = traces(span(1, 1)).SerializeToString()

StartDashboard = Callable[[], DashboardServer]


@pytest.fixture(scope="module")
def dashboard(shared_dashboard: DashboardServer) -> DashboardServer:
    """One for all: who is refused changes nothing."""
    return shared_dashboard


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_may_ask_by_any_of_its_names(dashboard: DashboardServer, host: str) -> None:
    assert dashboard.ask("/api/about", {"Host": f"{host}:{dashboard.port}"}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "localhost", "localhost:1", "", "localhost.evil:{port}", "[:"]
)
def test_a_wrong_host_is_refused_on_both_ports(dashboard: DashboardServer, host: str) -> None:
    answer = dashboard.ask("/api/about", {"Host": host.format(port=dashboard.port)})
    assert answer.status in (400, 403)
    assert b"whence-dashboard" not in answer.body
    wrong = {"Host": host.format(port=dashboard.http_port), "Content-Type": "application/json"}
    assert dashboard.send(b"{}", wrong).status in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://localhost:{port}"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_is_refused_and_never_given_leave(
    dashboard: DashboardServer, headers: dict[str, str]
) -> None:
    told = {name: text.format(port=dashboard.port) for name, text in headers.items()}
    for method in ("GET", "OPTIONS"):
        answer = dashboard.ask("/api/about", told, method)
        assert answer.status == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
    sent = {**told, "Content-Type": "application/x-protobuf"}
    assert dashboard.send(BODY, sent).status == 403
    assert dashboard.get("/api/traces")["traces"] == []


def test_the_page_itself_may_ask(dashboard: DashboardServer) -> None:
    own = {"Origin": dashboard.url, "Sec-Fetch-Site": "same-origin"}
    assert dashboard.ask("/api/about", own).status == 200


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/api/about", "/nothing"])
def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(
    dashboard: DashboardServer, path: str
) -> None:
    headers = dashboard.ask(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../api.py",
        "/static/%2e%2e/api.py",
        "/static/..%2fapi.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/../../etc/passwd",
        "/static/..\\api.py",
        "/static/index.html%00.js",
        "/static/",
        "/static/nothing.js",
    ],
)
def test_no_path_leads_to_another_file(dashboard: DashboardServer, path: str) -> None:
    answer = dashboard.ask(path)
    assert answer.status in (400, 404)
    assert b"import" not in answer.body
    assert b"root:" not in answer.body


def test_the_page_is_kept_by_browsers_until_it_changes(dashboard: DashboardServer) -> None:
    page = dashboard.ask("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    again = dashboard.ask("/", {"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/traces/xyz", 400), (f"/api/traces/{'ab' * 16}", 404), ("/api/now", 400)],
)
def test_what_is_asked_wrongly_is_answered_in_one_line_of_json(
    dashboard: DashboardServer, path: str, status: int
) -> None:
    answer = dashboard.ask(path)
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert dashboard.ask(path, method="POST").status == 405


def test_it_listens_on_the_loopback_interface_alone(dashboard: DashboardServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: which address would be used
        except OSError:
            pytest.skip("this machine has no address but the loopback's")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no address but the loopback's")
    for port in (dashboard.port, dashboard.http_port, dashboard.grpc_port):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, port), timeout=5).close()


@pytest.fixture
def own_dashboard(start_dashboard: StartDashboard) -> DashboardServer:
    """One that nobody else has sent anything to."""
    return start_dashboard()


@pytest.fixture
def events(own_dashboard: DashboardServer) -> "Iterator[Iterator[tuple[str, dict[str, object]]]]":
    connection = HTTPConnection("127.0.0.1", own_dashboard.port, timeout=30)
    connection.request("GET", "/api/events", headers={"Host": f"localhost:{own_dashboard.port}"})
    response = connection.getresponse()
    assert response.getheader("Content-Type") == "text/event-stream"

    def read() -> Iterator[tuple[str, dict[str, object]]]:
        name = ""
        for line in response:
            word, _, text = line.decode().strip().partition(": ")
            if word == "event":
                name = text
            elif word == "data":
                yield name, json.loads(text)

    yield read()
    response.close()
    connection.close()


def test_open_pages_are_told_what_has_come(
    own_dashboard: DashboardServer, events: "Iterator[tuple[str, dict[str, object]]]"
) -> None:
    name, told = next(events)
    assert (name, told["program"]) == ("hello", "whence-dashboard")
    own_dashboard.send(BODY)
    expected = {"spans": 1, "points": 0, "traces": 1, "services": ["shop"]}
    assert next(events) == ("changed", expected)
    assert own_dashboard.close() == 0, "an open page must not keep it from ending"
