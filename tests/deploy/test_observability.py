"""The alerts of observability/ fire on their breach and name metrics that exist; Prometheus itself reads a page."""

import http.server
import re
import subprocess
import threading
from pathlib import Path

import httpx
import pytest
import stamina
import yaml

from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.names import METRICS, Kind
from consent_core.telemetry.prometheus import PAGE_TYPE, page
from fleet.ports import free_port
from tests.conftest import ROOT

RULES = ROOT / "observability" / "prometheus"
PROMETHEUS = ROOT / ".venv" / "prometheus" / "usr" / "bin"
ALERTS = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"][0]["rules"]

# Alert -> the series that breach it, fifteen seconds apart.
BREACHES = {
    "LcpOverBudget": {
        "consent_edge_lcp_seconds_bucket{state='personalised',le='2.3'}": "0x240",
        "consent_edge_lcp_seconds_bucket{state='personalised',le='4.0'}": "0+10x240",
        "consent_edge_lcp_seconds_bucket{state='personalised',le='+Inf'}": "0+10x240",
    },
    "InpOverBudget": {
        "consent_edge_inp_seconds_bucket{state='default',le='0.2'}": "0x240",
        "consent_edge_inp_seconds_bucket{state='default',le='0.35'}": "0+10x240",
        "consent_edge_inp_seconds_bucket{state='default',le='+Inf'}": "0+10x240",
    },
    "ConsentSyncSlow": {
        "consent_edge_consent_sync_delay_seconds_bucket{pop='a',le='60.0'}": "0x240",
        "consent_edge_consent_sync_delay_seconds_bucket{pop='a',le='120.0'}": "0+10x240",
        "consent_edge_consent_sync_delay_seconds_bucket{pop='a',le='+Inf'}": "0+10x240",
    },
    "PopOutOfSync": {"consent_edge_in_sync{pop='a'}": "0x240"},
    "OutOfService": {"consent_edge_health{pop='a',kind='leave',reason='disk-full'}": "1x240"},
    "NeedsALook": {"consent_edge_health{pop='a',kind='stay',reason='clock-off'}": "1x240"},
    "DiskFilling": {"consent_edge_disk_free_bytes{pop='a'}": "300e6-1e6x240"},
    "CertificateEnding": {"consent_edge_certificate_left_seconds{pop='a'}": "3600-15x240"},
    "OutboxLate": {"consent_edge_outbox_oldest_seconds{pop='a'}": "90+15x240"},
    "LedgerUnwitnessed": {"consent_edge_ledger_unwitnessed_seconds{pop='control-plane'}": "0+15x240"},
    "LedgerFinding": {"consent_edge_ledger_findings{pop='control-plane'}": "0x200 1x40"},
    "UntrustedArtefact": {"consent_edge_untrusted_total{pop='a',code='log-fork'}": "0x200 1x40"},
    "PrivacyBudgetNearlySpent": {"consent_edge_privacy_budget_spent_ratio{place='tokyo-1'}": "0.85x240"},
    "PrivacyRequestLate": {
        "consent_edge_dsar_turnaround_seconds_bucket{kind='deletion',le='86400.0'}": "0x240",
        "consent_edge_dsar_turnaround_seconds_bucket{kind='deletion',le='+Inf'}": "0+1x240",
        "consent_edge_dsar_turnaround_seconds_count{kind='deletion'}": "0+1x240",
    },
    "WorkerRestarts": {"consent_edge_worker_restarts_total{pop='a'}": "0+1x240"},
    "TargetDown": {"up{instance='127.0.0.1:8881'}": "0x240"},
}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROMETHEUS / "promtool", *arguments], capture_output=True, text=True, check=False)


def firing(alert: str, directory: Path, series: dict[str, str]) -> bool:
    """Whether the alert fires an hour into these series, by Prometheus' own evaluation."""
    test = {
        "rule_files": [str(RULES / "recording.yml"), str(RULES / "alerts.yml")],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"count(ALERTS{{alertname='{alert}',alertstate='firing'}})",
                        "eval_time": "55m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                ],
            }
        ],
    }
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump(test))
    return promtool("test", "rules", str(path)).returncode == 0


def test_every_alert_has_a_breach():
    """An alert that nothing here can raise is a decoration."""
    assert {rule["alert"] for rule in ALERTS} == set(BREACHES)


@pytest.mark.parametrize("alert", sorted(BREACHES))
def test_an_alert_fires_on_its_breach_and_on_no_other(alert, tmp_path):
    """Prometheus' own rule test, an hour of samples."""
    assert firing(alert, tmp_path, BREACHES[alert])
    others = {name: values for other, series in BREACHES.items() if other != alert for name, values in series.items()}
    assert not firing(alert, tmp_path, others)


def test_a_healthy_deployment_raises_nothing():
    """The rule tests that are shipped."""
    assert promtool("test", "rules", str(RULES / "alerts_test.yml")).returncode == 0


def test_rules_name_metrics_that_exist():
    """A metric that is renamed shows here."""
    suffixes = {Kind.COUNTER: ("_total",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
    known = {f"{metric.name}{suffix}" for metric in METRICS for suffix in suffixes[metric.kind]}
    text = (RULES / "alerts.yml").read_text() + (RULES / "recording.yml").read_text()

    assert set(re.findall(r"\bconsent_edge_[a-z_]+\b", text)) - known == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule):
    """What is broken, and the next step."""
    assert {"summary", "action"} <= set(rule["annotations"])
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_prometheus_scrapes_the_page_and_loads_the_rules(tmp_path):
    """Debian's Prometheus against the page as a POP writes it: the target is up and a series has its value."""
    metrics = Metrics("pop", "tokyo-1")
    metrics.watch("consent_edge_in_sync", lambda: 1.0)
    metrics.histogram("consent_edge_lcp_seconds").observe(0.4, "home-hero", "default", "none")

    class Admin(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = page(metrics)
            self.send_response(200)
            self.send_header("content-type", PAGE_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES / name) for name in config["rule_files"]]
    config["scrape_configs"] = [
        {"job_name": "pop", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}
    ]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = subprocess.Popen(
        [PROMETHEUS / "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}",
         f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert asked(port, "consent_edge_in_sync{pop='tokyo-1'}") == "1"
        assert asked(port, "consent_edge_lcp_seconds_count{state='default'}") == "1"
        loaded = httpx.get(f"http://127.0.0.1:{port}/api/v1/rules", timeout=60).json()["data"]["groups"]
        assert {rule["name"] for group in loaded for rule in group["rules"]} >= set(BREACHES)
    finally:
        process.terminate()
        process.wait(240)
        server.shutdown()
        server.server_close()


@stamina.retry(
    on=(httpx.TransportError, LookupError, ValueError), attempts=None, timeout=300, wait_initial=0.2, wait_max=1.0
)
def asked(port: int, query: str) -> str:
    """The one value of a query, once it is there."""
    answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=60).json()
    return answer["data"]["result"][0]["value"][1]
