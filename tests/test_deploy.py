"""The dashboard and the alerts in `deploy/` use metrics and labels that a running server has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from tests.paths import ROOT

DEPLOY = ROOT / "deploy"
METRIC = re.compile(r"\b(?:tuneship|process)_\w+")
SELECTOR = re.compile(r"\b((?:tuneship|process)_\w+)\{([^}]*)\}")
ADDED_BY_PROMETHEUS = {"job", "instance"}

Labels = dict[str, set[str]]


@pytest.fixture(scope="module")
def served(tiny_bundle: Path) -> Labels:
    """The names of a running server's samples (drift included) and the labels of each."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(app.server_state.models.reload)
        for _ in range(2):
            client.post("/predict", json={"inputs": ["where is my parcel?"] * 100})
        families = text_string_to_metric_families(client.get("/metrics").text)
        return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    content: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return content


def rules() -> list[dict[str, Any]]:
    """The alerting rules."""
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard and the rules, with its panel's or rule's name."""
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]
    yield from ((rule["alert"], rule["expr"]) for rule in rules())


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_metrics_exist(served: Labels, where: str, query: str) -> None:
    """Every metric and label in a query is one of a running server's."""
    named = set(METRIC.findall(query))
    assert named
    assert named <= set(served), where
    for metric, selectors in SELECTOR.findall(query):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors))
        assert labels <= served[metric] | ADDED_BY_PROMETHEUS, where


def test_every_metric_is_looked_at(served: Labels) -> None:
    """Every metric of the server is in the dashboard or a rule."""
    looked_at = {name for _, query in queries() for name in METRIC.findall(query)}
    ours = {name for name in served if name.startswith("tuneship_")}
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}
    assert stems <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in looked_at}


def test_dashboard_is_sound() -> None:
    """Panels have unique ids, do not overlap, fit the grid, and use the selected data source."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


def test_all_models_are_those_that_were_asked() -> None:
    """The choice of all models excludes requests to no model, such as scrapes and probes."""
    (model,) = (each for each in dashboard()["templating"]["list"] if each["name"] == "model")
    assert re.fullmatch(model["allValue"], "support")
    assert not re.fullmatch(model["allValue"], "")


def test_rules_say_what_to_do() -> None:
    """Every rule has a severity, a summary and a description."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["for"]


@pytest.mark.parametrize("command", ["check rules alerts.yaml", "test rules alerts.test.yaml"])
def test_promtool(command: str) -> None:
    """promtool accepts the rules, and they alert on the test series and on no others."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Prometheus' packages")
    result = subprocess.run(
        [promtool, *command.split()], cwd=DEPLOY, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
