"""The Grafana dashboard asks for series that exist, in queries that Prometheus takes, and its panels do not overlap.

The members that are required are those of Grafana's dashboard JSON model (schema version 39).
"""

import json
import re
import subprocess

import pytest
import yaml

from consent_core.telemetry.names import METRICS, Kind
from tests.conftest import ROOT

HOME = ROOT / "observability" / "grafana"
PROMTOOL = ROOT / ".venv" / "prometheus" / "usr" / "bin" / "promtool"
BOARD = json.loads((HOME / "consent-edge.json").read_text())
RULES = yaml.safe_load((ROOT / "observability" / "prometheus" / "recording.yml").read_text())["groups"][0]["rules"]
SUFFIXES = {Kind.COUNTER: ("_total",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_every_query_names_series_that_exist():
    """A metric or a recording rule that is renamed shows here."""
    metrics = {f"{metric.name}{suffix}" for metric in METRICS for suffix in SUFFIXES[metric.kind]}
    rules = {rule["record"] for rule in RULES}

    assert set(re.findall(r"\bconsent_edge[a-z_:0-9]+", " ".join(QUERIES))) - metrics - rules == set()


def test_prometheus_takes_every_query(tmp_path):
    """By its own parser."""
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    checked = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_has_what_grafana_needs(panel):
    """A type, a place, the provisioned source, and a legend for each query."""
    assert {"id", "type", "title", "datasource", "gridPos", "targets", "fieldConfig"} <= set(panel)
    assert panel["datasource"] == {"type": "prometheus", "uid": source()["uid"]}
    assert all({"refId", "expr", "legendFormat"} <= set(target) for target in panel["targets"])
    assert 0 <= panel["gridPos"]["x"] <= 24 - panel["gridPos"]["w"]


def source():
    return yaml.safe_load((HOME / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"][0]


def test_no_two_panels_share_a_place_or_a_number():
    """Grafana would move one of them."""
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert {"uid", "title", "schemaVersion", "time", "panels"} <= set(BOARD)
