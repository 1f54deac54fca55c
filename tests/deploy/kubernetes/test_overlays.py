"""The overlays of `deploy/kubernetes`, built by kubectl's own Kustomize: parameters, components, canaries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import (
    KUBERNETES,
    VERSIONS,
    Objects,
    assert_valid,
    kustomize,
    pods,
    read_base,
    violations,
)
from tests.paths import ROOT

pytestmark = pytest.mark.slow

OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
NAME, CANARY = "tuneship-support", "tuneship-support-canary"

Build = Callable[..., Objects]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """An overlay's objects, with these components in production."""

    def built(overlay: str, *components: str) -> Objects:
        copied = tmp_path / "kubernetes"
        shutil.copytree(KUBERNETES, copied)
        place = copied / "overlays" / "production" / "kustomization.yaml"
        content = yaml.safe_load(place.read_text())
        content["components"] = [f"../../components/{each}" for each in components]
        place.write_text(yaml.safe_dump(content))
        return kustomize(copied / "overlays" / overlay)

    return built


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_them(overlay: str, version: str) -> None:
    """Strictly: an unknown field is refused."""
    assert_valid(kustomize(KUBERNETES / "overlays" / overlay), version)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_they_break_no_policy(overlay: str) -> None:
    """Every pod, the canary's too."""
    found = list(pods(kustomize(KUBERNETES / "overlays" / overlay)))
    assert found
    assert all(violations(each) == set() for each in found)


def test_the_base_is_built_as_it_lies() -> None:
    """Kustomize adds nothing to the files that other tests read."""
    assert kustomize(KUBERNETES / "base") == read_base()


def test_production_names_everything() -> None:
    """Every object, label and reference has the deployment's own name, so that two live in one namespace."""
    objects = kustomize(KUBERNETES / "overlays" / "production")
    assert {name for _, name in objects} == {NAME}
    instances = {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in objects.values()}
    assert instances == {NAME}
    assert '"app.kubernetes.io/instance": "tuneship"' not in json.dumps(list(objects.values()))
    assert objects["HorizontalPodAutoscaler", NAME]["spec"]["scaleTargetRef"]["name"] == NAME
    [pod] = pods(objects)
    assert pod["serviceAccountName"] == NAME


def test_production_keeps_the_bases_settings() -> None:
    """The patch of the container adds to it, and takes nothing away."""
    [pod] = pods(kustomize(KUBERNETES / "overlays" / "production"))
    [base] = pods(read_base())
    own = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert own == {**{each["name"]: each["value"] for each in base["containers"][0]["env"]}, "TUNESHIP_THREADS": "1"}
    assert pod["containers"][0]["livenessProbe"] == base["containers"][0]["livenessProbe"]


def test_a_canary_is_production_with_another_image() -> None:
    """One more Deployment, of one replica, that differs in name, track and image."""
    production, objects = (kustomize(KUBERNETES / "overlays" / each) for each in ("production", "canary"))
    assert objects.keys() - production.keys() == {("Deployment", CANARY)}
    assert all(objects[key] == each for key, each in production.items())
    text = json.dumps(objects["Deployment", CANARY])
    assert objects["Deployment", CANARY]["spec"].pop("replicas") == 1
    spec = json.dumps(objects["Deployment", CANARY]["spec"])
    assert "1" * 64 in text
    assert (
        json.loads(spec.replace("1" * 64, "0" * 64).replace('"canary"', '"stable"'))
        == production["Deployment", NAME]["spec"]
    )


def test_a_canary_shares_the_service_and_no_pods() -> None:
    """The service and the budget choose both; each Deployment, and the autoscaler, their own."""
    objects = kustomize(KUBERNETES / "overlays" / "canary")
    stable, canary = (objects["Deployment", name]["spec"] for name in (NAME, CANARY))
    selector = objects["Service", NAME]["spec"]["selector"].items()
    for own, other in ((stable, canary), (canary, stable)):
        labels = own["template"]["metadata"]["labels"].items()
        assert selector < labels
        assert own["selector"]["matchLabels"].items() <= labels
        assert not other["selector"]["matchLabels"].items() <= labels
    assert objects["HorizontalPodAutoscaler", NAME]["spec"]["scaleTargetRef"]["name"] == NAME


def test_a_weighted_canary_has_a_service_for_each_track() -> None:
    """The route's weights add up to 100, and lead to services that choose the pods of one track."""
    objects = kustomize(KUBERNETES / "overlays" / "canary-weights")
    [rule] = objects["HTTPRoute", NAME]["spec"]["rules"]
    assert sum(each["weight"] for each in rule["backendRefs"]) == 100
    services = [objects["Service", each["name"]]["spec"]["selector"] for each in rule["backendRefs"]]
    labels = [objects["Deployment", name]["spec"]["template"]["metadata"]["labels"] for name in (NAME, CANARY)]
    for number, selector in enumerate(services):
        chosen = [selector.items() <= each.items() for each in labels]
        assert chosen == [number == 0, number == 1]


def test_keys_are_asked_for_by_every_pod(build: Build) -> None:
    """The canary's too: the secret is mounted where the setting says, and only Prometheus needs no key."""
    found = list(pods(build("canary", "api-keys")))
    assert len(found) == 2
    for pod in found:
        env = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "api-keys"]
        [volume] = [each for each in pod["volumes"] if each["name"] == "api-keys"]
        assert env["TUNESHIP_API_KEYS_FILE"] == f"{mount['mountPath']}/keys.txt"
        assert mount["readOnly"]
        assert volume["secret"] == {"secretName": "tuneship-api-keys", "defaultMode": 0o440}
        assert env["TUNESHIP_OPEN_METRICS"] == "1"
        assert violations(pod) == set()


def test_replicas_by_cpu_alone(build: Build) -> None:
    """Without prometheus-adapter there is no metric that cannot be read."""
    metrics = build("production", "cpu-autoscaling")["HorizontalPodAutoscaler", NAME]["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource"]


def test_monitoring_scrapes_the_service_once(build: Build) -> None:
    """The monitor chooses the service that has all pods, and not those of a canary's tracks."""
    objects = build("canary-weights", "monitoring")
    monitor = objects["ServiceMonitor", NAME]["spec"]
    services = [each for (kind, _), each in objects.items() if kind == "Service"]
    chosen = [
        each for each in services if monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]
    assert [each["metadata"]["name"] for each in chosen] == [NAME]
    assert monitor["endpoints"][0]["port"] == chosen[0]["spec"]["ports"][0]["name"]


def test_the_rules_are_the_projects(build: Build) -> None:
    """`make alerts` writes them from deploy/alerts.yaml."""
    alerts = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
    assert build("production", "monitoring")["PrometheusRule", NAME]["spec"] == alerts


def test_the_autoscaler_reads_the_servers_gauge() -> None:
    """prometheus-adapter gives the metric that the autoscaler asks for, by pod."""
    [rule] = yaml.safe_load((KUBERNETES / "prometheus-adapter-values.yaml").read_text())["rules"]["custom"]
    asked = read_base()["HorizontalPodAutoscaler", "tuneship"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert rule["name"]["as"] == asked == "tuneship_queue_depth"
    assert f"`{asked}` | gauge" in (ROOT / "docs" / "metrics.md").read_text()
    assert rule["resources"]["overrides"].keys() == {"namespace", "pod"}
