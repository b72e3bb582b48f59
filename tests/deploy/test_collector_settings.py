"""The configurations of the Collectors: `collector.yaml`, `balancer.yaml`, `gateway.yaml`.

No Collector runs here.  What it would refuse is looked for by hand: components and options that its
documentation does not know, and pipelines of what is not there.
"""

import re
from typing import Any

import pytest

from containers import DEPLOY, Node, read, services
from whence.engine import blocks

FILES = ("collector.yaml", "balancer.yaml", "gateway.yaml")

Known = dict[str, Any] | None
"""Options -> what is below them; None is a value."""

_SERVER: Known = {"endpoint": None}
_OTLP: Known = {"endpoint": None, "tls": {"insecure": None}}
_POLICY: Known = {
    "name": None,
    "type": None,
    "status_code": {"status_codes": None},
    "latency": {"threshold_ms": None},
    "probabilistic": {"sampling_percentage": None},
    "ottl_condition": {"error_mode": None, "span": None, "spanevent": None},
}

# What is used of the documentation of the Collector 0.159.
DOCUMENTED: dict[str, dict[str, Known]] = {
    "receivers": {"otlp": {"protocols": {"grpc": _SERVER, "http": _SERVER}}},
    "processors": {
        "memory_limiter": {"check_interval": None, "limit_mib": None, "spike_limit_mib": None},
        "batch": {"timeout": None, "send_batch_size": None, "send_batch_max_size": None},
        "tail_sampling": {
            "decision_wait": None,
            "num_traces": None,
            "decision_cache": {"sampled_cache_size": None, "non_sampled_cache_size": None},
            "policies": _POLICY,
        },
    },
    "exporters": {
        "otlp_grpc": _OTLP,
        "otlp_http": _OTLP,
        "load_balancing": {
            "routing_key": None,
            "protocol": {"otlp": {"tls": {"insecure": None}}},
            "resolver": {"dns": {"hostname": None, "port": None, "interval": None}},
        },
    },
    "extensions": {"health_check": _SERVER},
}


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(name: str) -> Node:
    return read(DEPLOY / name)


def service_of(name: str) -> Node:
    """The container that reads this file."""
    (found,) = (
        service
        for service in services().values()
        if any(volume.startswith(f"./deploy/{name}:") for volume in service.get("volumes", []))
    )
    return dict(found)


def unknown(node: Any, known: Known, path: str) -> list[str]:
    """The options that the documentation does not know."""
    if known is None or node is None:
        return []
    if isinstance(node, list):
        return [wrong for item in node for wrong in unknown(item, known, path)]
    wrong = [f"{path}.{key}" for key in node if key not in known]
    for key in node.keys() & known.keys():
        wrong += unknown(node[key], known[key], f"{path}.{key}")
    return wrong


def endpoints(node: Any) -> list[str]:
    """Where everything under this node is sent to, or listened at."""
    if isinstance(node, list):
        return [found for item in node for found in endpoints(item)]
    if not isinstance(node, dict):
        return []
    here = [node["endpoint"]] if "endpoint" in node else []
    return here + [found for value in node.values() for found in endpoints(value)]


def test_every_component_and_option_is_documented(settings: Node) -> None:
    assert settings.keys() == {*DOCUMENTED, "service"}
    for section, known in DOCUMENTED.items():
        for component, options in settings[section].items():
            kind = component.partition("/")[0]
            assert kind in known, f"{section}: {component}"
            assert unknown(options, known[kind], component) == []


def test_a_misspelt_option_is_found() -> None:
    settings = {"protocols": {"grpc": {"endpint": "0.0.0.0:4317"}}}
    known = DOCUMENTED["receivers"]["otlp"]
    assert unknown(settings, known, "otlp") == ["otlp.protocols.grpc.endpint"]


def test_pipelines_use_what_is_declared_and_nothing_is_declared_in_vain(settings: Node) -> None:
    pipelines = settings["service"]["pipelines"].values()
    for section in ("receivers", "processors", "exporters"):
        used = {component for pipeline in pipelines for component in pipeline[section]}
        assert used == settings[section].keys()
    assert settings["service"]["extensions"] == list(settings["extensions"])


def test_memory_is_limited_before_anything_is_kept(settings: Node, name: str) -> None:
    for pipeline in settings["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
    limiter = settings["processors"]["memory_limiter"]
    assert 0 < limiter["spike_limit_mib"] < limiter["limit_mib"]
    # Go collects its garbage before the limiter has to refuse anything.
    soft = f"{limiter['limit_mib'] * 80 // 100}MiB"
    assert service_of(name)["environment"]["GOMEMLIMIT"] == soft


def test_what_is_sent_on_goes_to_a_service_that_is_there(settings: Node) -> None:
    hosts = {re.sub(r"^http://|:.*", "", target) for target in endpoints(settings["exporters"])}
    resolver = settings["exporters"].get("load_balancing", {}).get("resolver", {})
    hosts |= {resolver["dns"]["hostname"]} if resolver else set()
    assert hosts
    assert hosts <= services().keys()


def test_a_collector_listens_where_the_ports_and_the_health_check_lead(
    settings: Node, name: str
) -> None:
    own = services()
    (called,) = (key for key, service in own.items() if service == service_of(name))
    listened = {target.rpartition(":")[2] for target in endpoints(settings["receivers"])}
    inner = {port.split(":")[2] for port in own[called].get("ports", [])}
    assert inner <= listened
    health = settings["extensions"]["health_check"]["endpoint"].rpartition(":")[2]
    asked = " ".join(
        " ".join(service.get("healthcheck", {}).get("test", [])) for service in own.values()
    )
    assert f"http://{called}:{health}/" in asked


def test_collectors_take_both_signals() -> None:
    for name in ("collector.yaml", "balancer.yaml"):
        assert read(DEPLOY / name)["service"]["pipelines"].keys() == {"traces", "metrics"}


def test_all_spans_of_a_trace_go_to_one_gateway() -> None:
    balancing = read(DEPLOY / "balancer.yaml")["exporters"]["load_balancing"]
    assert balancing["routing_key"] == "traceID"
    port = endpoints(read(DEPLOY / "gateway.yaml")["receivers"]["otlp"]["protocols"]["grpc"])
    assert port == [f"0.0.0.0:{balancing['resolver']['dns']['port']}"]


def test_the_gateway_decides_before_it_batches_and_remembers_what_it_decided() -> None:
    settings = read(DEPLOY / "gateway.yaml")
    order = settings["service"]["pipelines"]["traces"]["processors"]
    assert order == ["memory_limiter", "tail_sampling", "batch"]
    sampling = settings["processors"]["tail_sampling"]
    # The documentation: well above num_traces, or decisions are forgotten before the late spans.
    assert min(sampling["decision_cache"].values()) >= 10 * sampling["num_traces"]


def test_each_policy_has_the_options_of_its_type() -> None:
    policies = read(DEPLOY / "gateway.yaml")["processors"]["tail_sampling"]["policies"]
    for policy in policies:
        assert policy.keys() == {"name", "type", policy["type"]}
    names = [policy["name"] for policy in policies]
    assert len(set(names)) == len(names)


def test_the_gateway_keeps_errors_blockers_and_what_they_delayed() -> None:
    policies = read(DEPLOY / "gateway.yaml")["processors"]["tail_sampling"]["policies"]
    kept = {policy["name"]: policy[policy["type"]] for policy in policies}
    assert kept["errors"]["status_codes"] == ["ERROR"]
    assert kept["blocked"]["spanevent"] == [f'spanevent.name == "{blocks.EVENT}"']
    assert kept["blocked"]["span"] == ['span.attributes["whence.delayed.by"] != nil']
    assert 0 < kept["some of the rest"]["sampling_percentage"] < 100
