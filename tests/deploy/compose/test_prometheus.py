"""A real Prometheus with the configuration of `deploy/compose`, on a real server: what the dashboard would show."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.measurement.process import free_port
from tests.paths import ROOT
from tests.serving.processes import python, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus, of Debian's package"),
]

DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
VARIABLES = {"job": "tuneship", "model": ".+", "__rate_interval": "10s"}
MAY_BE_EMPTY = re.compile(r"drift|status=~\"5|status=\"429\"")
"""Drift is published after 200 inputs; a sum of no series is none."""

Answer = list[dict[str, Any]]


class Prometheus:
    """Its API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; a query that Prometheus refuses is an error."""
        with urllib.request.urlopen(f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=60) as answer:
            content = json.load(answer)
        assert content["status"] == "success"
        return content["data"]

    def query(self, query: str) -> Answer:
        """The series of an instant query."""
        found: Answer = self.ask("query", query=query)["result"]
        return found

    def wait_for(self, query: str, seconds: float = 60) -> Answer:
        """Its series, once there are any."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := self.query(query):
                    return found
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"no series of {query} after {seconds} s")


def post(port: int, texts: list[str]) -> None:
    """Ask the server."""
    body, headers = json.dumps({"inputs": texts}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, headers)
    with urllib.request.urlopen(request, timeout=60):
        pass


def write_config(folder: Path, target: str) -> Path:
    """The project's configuration with the server's address and shorter intervals."""
    config = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0] = {
        "targets": [target],
        "labels": {"namespace": "default", "pod": "tuneship-0"},  # which a scrape in Kubernetes has
    }
    shutil.copy(ROOT / "deploy" / "alerts.yaml", folder)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yaml"


@pytest.fixture(scope="module")
def prometheus(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, which has scraped a server several times while it was asked."""
    folder, port, own = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    server = python("-m", "tuneship", "serve", tiny_bundle, "--port", port)
    config = write_config(folder, f"127.0.0.1:{port}")
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]  # fmt: skip
    with running(server, port, folder / "server.log"), (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            found = Prometheus(own)
            found.wait_for('up{job="tuneship"} == 1')
            for _ in range(8):
                post(port, ["where is my parcel?", "refund order 17"] * 4)
                time.sleep(0.5)
            found.wait_for("sum(rate(tuneship_inputs_total[10s])) > 0")
            yield found
        finally:
            process.terminate()
            process.wait(60)


def with_variables(query: str) -> str:
    """As Grafana asks it."""
    for name, value in VARIABLES.items():
        query = query.replace(f"${name}", value)
    assert "$" not in query
    return query


@pytest.mark.parametrize("query", QUERIES)
def test_the_dashboard_shows_the_server(query: str, prometheus: Prometheus) -> None:
    """Prometheus takes every query of every panel; all have series but those that need failures or much traffic."""
    found = prometheus.query(with_variables(query))
    assert found or MAY_BE_EMPTY.search(query)


def test_its_variables_list_the_server(prometheus: Prometheus) -> None:
    """The job and the model can be chosen."""
    [job] = prometheus.query("count by (job) (tuneship_bundle_info)")
    assert job["metric"]["job"] == "tuneship"
    assert prometheus.query('count by (model) (tuneship_bundle_info{job="tuneship"})')


def test_the_rules_are_loaded_and_quiet(prometheus: Prometheus) -> None:
    """Every alert is evaluated without an error, and none fires at a healthy server."""
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    named = {rule["alert"] for group in alerts()["groups"] for rule in group["rules"]}
    assert {rule["name"] for rule in rules} == named
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert prometheus.ask("alerts")["alerts"] == []


def alerts() -> dict[str, Any]:
    """The project's rules."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
    return content


def test_the_autoscalers_metric_is_there(prometheus: Prometheus) -> None:
    """prometheus-adapter's query, with what it puts into it, gives one number for the pod."""
    values = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "prometheus-adapter-values.yaml").read_text())
    [rule] = values["rules"]["custom"]
    series = prometheus.ask("series", **{"match[]": rule["seriesQuery"]})
    query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.Series>>", series[0]["__name__"])
    [found] = prometheus.query(query.replace("<<.LabelMatchers>>", 'namespace="default",pod=~"tuneship-0"'))
    assert found["metric"] == {"pod": "tuneship-0"}
    assert float(found["value"][1]) >= 0
