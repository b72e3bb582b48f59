"""What Grafana is provisioned with: two data sources and the dashboard "active handles"."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from containers import read, services
from dashboards import GRAFANA, HOME, dashboard, panels, questions

PROMTOOL = shutil.which("promtool")
COLUMNS = 24
BUILT_IN = {"__rate_interval", "__range", "__from", "__to"}


def provisioned(what: str) -> dict[str, Any]:
    (file,) = (GRAFANA / "provisioning" / what).glob("*.yaml")
    return read(file)


def sources() -> dict[str, str]:
    """The data sources: uid -> type."""
    return {source["uid"]: source["type"] for source in provisioned("datasources")["datasources"]}


def named_sources(node: Any) -> list[dict[str, str]]:
    """Every data source that is named somewhere under this node."""
    if isinstance(node, list):
        return [found for item in node for found in named_sources(item)]
    if not isinstance(node, dict):
        return []
    here = [node["datasource"]] if "datasource" in node else []
    return here + [found for value in node.values() for found in named_sources(value)]


def links() -> list[str]:
    of_panels = [
        link["url"]
        for panel in panels()
        for link in panel["fieldConfig"]["defaults"].get("links", [])
    ]
    return of_panels + [link["url"] for link in dashboard()["links"]]


def through_grafanas_types(content: dict[str, Any]) -> Any:
    plugins.register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(content)))


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """What of this is not in that, or is another there."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            missing
            for key, value in before.items()
            for missing in lost(value, after.get(key, ...), f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [missing for n, (a, b) in pairs for missing in lost(a, b, f"{path}[{n}]")]
    return [] if before == after else [path]


def test_data_sources_are_services_at_the_ports_where_these_are_asked_how_they_are() -> None:
    for source in provisioned("datasources")["datasources"]:
        url = urlsplit(source["url"])
        published = [port.split(":")[2] for port in services()[url.hostname]["ports"]]
        assert published == [str(url.port)]
    assert sources() == {"prometheus": "prometheus", "jaeger": "jaeger"}


def test_grafanas_own_types_know_every_field_of_the_dashboard() -> None:
    """They leave out what they do not know, and add what has a default."""
    assert lost(dashboard(), through_grafanas_types(dashboard())) == []


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    (panel, *_) = panels()
    panel["options"]["colourMode"] = panel["options"].pop("colorMode")
    wrong = {**dashboard(), "panels": [panel]}
    assert lost(wrong, through_grafanas_types(wrong)) == [".panels[0].options.colourMode"]


def test_the_dashboard_is_where_it_is_looked_for_and_the_home_page() -> None:
    grafana = services()["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    (provider,) = provisioned("dashboards")["providers"]
    assert mounted["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{HOME.name}"


def test_panels_have_an_id_of_their_own_and_their_place() -> None:
    everything = panels(rows=True)
    assert len({panel["id"] for panel in everything}) == len(everything)
    places = [(panel["title"], panel["gridPos"]) for panel in everything]
    for title, place in places:
        assert place["x"] + place["w"] <= COLUMNS, title
    for (one, a), (other, b) in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, f"{one} and {other} overlap"


def test_every_panel_asks_a_provisioned_data_source_and_says_what_it_shows() -> None:
    for named in named_sources(dashboard()):
        assert sources()[named["uid"]] == named["type"]
    for panel in panels():
        assert panel["datasource"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["description"].endswith((".", "%.")), panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_every_variable_is_of_the_dashboard_or_of_grafana() -> None:
    own = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert own == {"service", "instance"}
    text = json.dumps([dashboard()["panels"], dashboard()["links"]])
    used = set(re.findall(r"\$\{?(\w+)", text))
    assert used - BUILT_IN <= own
    assert used >= {"service", "instance", "__rate_interval"}


def test_every_expression_is_of_the_processes_that_were_chosen() -> None:
    for panel in panels():
        for target in panel["targets"]:
            chosen = re.findall(r"\{[^}]*\}", target["expr"])
            assert chosen, target["expr"]
            assert all('instance=~"$instance"' in selector for selector in chosen), target["expr"]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool comes with Prometheus")
def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = [{"record": f"q{n}", "expr": asked.expr} for n, asked in enumerate(questions())]
    assert len(rules) > 30
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(
        [PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_links_lead_to_the_traces_of_the_service_in_the_time_shown() -> None:
    assert len(links()) > len(panels())
    port = services()["jaeger"]["ports"][0].split(":")[1]
    for link in links():
        url = urlsplit(link)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"http://localhost:{port}/search"
        asked = parse_qs(url.query)
        assert asked["service"] == ["${service:percentencode}"]
        # Jaeger reads microseconds, Grafana writes milliseconds; without a time Jaeger refuses.
        assert (asked["start"], asked["end"]) == (["${__from}000"], ["${__to}000"])
        assert asked["lookback"] == ["custom"]
