"""The chart of `deploy/helm`, rendered by Helm's own code: the objects of the Kustomize base; what values change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import (
    CHART,
    KUBERNETES,
    RENDER,
    VERSIONS,
    Objects,
    assert_valid,
    kustomize,
    pods,
    read_base,
    render_chart,
    render_files,
    run_helm,
    violations,
    without_helm_labels,
)
from tests.paths import ROOT

pytestmark = pytest.mark.slow

DIGEST = "1" * 64
IMAGE = f"registry.example.com/tuneship@sha256:{DIGEST}"
EVERYTHING: dict[str, Any] = {
    "image": IMAGE,
    "imagePullSecrets": [{"name": "registry"}],
    "bundleDigest": DIGEST,
    "memoryMb": 1024,
    "cpus": 1.5,
    "threads": 2,
    "timeoutSeconds": 2.5,
    "env": {"TUNESHIP_MAX_QUEUE": "64"},
    "apiKeysSecret": "keys",
    "minReplicas": 3,
    "maxReplicas": 4,
    "networkPolicy": {"namespaces": [], "egress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}]},
    "monitoring": True,
    "canary": {"image": IMAGE, "weight": 0},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
}


def refusal(values: dict[str, Any]) -> str:
    """What Helm says of values that it refuses."""
    result = run_helm(RENDER, {"chart": str(CHART), "values": values, "name": "tuneship"})
    assert result.returncode != 0
    return result.stderr


def test_its_objects_are_the_bases() -> None:
    """At default values, but for the labels that say Helm has made them: one truth, two ways to apply it."""
    assert without_helm_labels(render_chart()) == read_base()


def test_its_canary_is_the_overlays() -> None:
    """The same for production's values, a canary and its weights; Kustomize says them its own way."""
    values = {
        "name": "tuneship-support", "threads": 1, "bundleDigest": "0" * 64,
        "canary": {"image": IMAGE, "weight": 10},
    }  # fmt: skip
    rendered = without_helm_labels(render_chart(values))
    built = kustomize(KUBERNETES / "overlays" / "canary-weights")
    assert canonical(rendered) == canonical(built)


def canonical(objects: Objects) -> Objects:
    """The variables sorted, whose order means nothing; services of a track named in the chart's way."""
    text = json.dumps({f"{kind} {name}": each for (kind, name), each in objects.items()})
    for track in ("stable", "canary"):
        text = text.replace(f'tuneship-{track}-support"', f'tuneship-support-{track}"')
    found = {(each["kind"], each["metadata"]["name"]): each for each in json.loads(text).values()}
    for pod in pods(found):
        pod["containers"][0]["env"].sort(key=lambda each: each["name"])
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_value(version: str) -> None:
    """With everything set, strictly."""
    objects = render_chart(EVERYTHING)
    assert_valid(objects, version)
    assert len(objects) == 12


def test_no_value_breaks_a_policy() -> None:
    """Neither pod may more, whatever is set."""
    found = list(pods(render_chart(EVERYTHING)))
    assert [violations(each) for each in found] == [set(), set()]


def test_values_arrive() -> None:
    """Each where it belongs."""
    objects = render_chart(EVERYTHING, name="support")
    spec = objects["Deployment", "support"]["spec"]["template"]
    [container] = spec["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert container["image"] == IMAGE
    assert container["resources"]["limits"] == {"cpu": "1.5", "memory": "1024Mi", "ephemeral-storage": "256Mi"}
    assert spec["metadata"]["annotations"] == {"tuneship/bundle-digest": DIGEST}
    assert env["TUNESHIP_THREADS"] == "2"
    assert env["TUNESHIP_WAIT_SECONDS"] == "2.5"
    assert env["TUNESHIP_MAX_QUEUE"] == "64"
    assert env["TUNESHIP_API_KEYS_FILE"] == "/etc/tuneship/keys.txt"
    scaler = objects["HorizontalPodAutoscaler", "support"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 4)
    assert [each["weight"] for each in objects["HTTPRoute", "support"]["spec"]["rules"][0]["backendRefs"]] == [100, 0]


def test_the_grace_period_follows_the_servers_times() -> None:
    """SIGKILL comes after them."""
    [pod] = pods(render_chart({"drainSeconds": 20, "graceSeconds": 120}))
    assert pod["terminationGracePeriodSeconds"] == 150


def test_null_leaves_the_queue_out() -> None:
    """For clusters without prometheus-adapter."""
    metrics = render_chart({"queueDepth": None})["HorizontalPodAutoscaler", "tuneship"]["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image": "registry.example.com/tuneship:latest"}, "image"),
        ({"canary": {"image": "registry.example.com/tuneship:2"}}, "image"),
        ({"memory": 512}, "memory"),
        ({"cpus": "1"}, "cpus"),
        ({"minReplicas": 0}, "minReplicas"),
        ({"minReplicas": 5, "maxReplicas": 2}, "minReplicas is above maxReplicas"),
        ({"env": {"not a name": "1"}}, "not a name"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], named: str) -> None:
    """The message names them: tags, misspelt names, wrong types, replicas that cannot be."""
    assert named in refusal(values)


def test_helm_has_nothing_to_say() -> None:
    """No warning and no error of `helm lint`; an icon it only recommends."""
    script = "import json, sys, helm_python as helm; print(json.dumps(helm.lint(json.load(sys.stdin)['chart'])))"
    report = json.loads(run_helm(script, {"chart": str(CHART)}).stdout)
    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_the_notes_say_what_is_missing() -> None:
    """A placeholder of an image and a server without keys are told; both done, neither."""
    bare, done = render_files()["NOTES.txt"], render_files({"image": IMAGE, "apiKeysSecret": "keys"})["NOTES.txt"]
    assert "placeholder" in bare
    assert "without a key" in bare
    assert "placeholder" not in done
    assert "without a key" not in done


def test_its_alerts_are_the_projects() -> None:
    """`make alerts` copies them into the chart, which cannot read files outside."""
    assert (CHART / "files" / "alerts.yaml").read_bytes() == (ROOT / "deploy" / "alerts.yaml").read_bytes()
    rules = render_chart({"monitoring": True})["PrometheusRule", "tuneship"]["spec"]
    assert rules == yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())


def test_every_value_is_in_the_schema() -> None:
    """And none is in the schema alone."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert values.keys() == schema.keys() - {"global"}
    for name in ("networkPolicy", "canary"):
        assert values[name].keys() == schema[name]["properties"].keys()


def test_an_altered_chart_differs(tmp_path: Path) -> None:
    """The comparison with the base can fail."""
    altered = Path(shutil.copytree(CHART, tmp_path / "tuneship"))
    template = altered / "templates" / "_helpers.tpl"
    template.write_text(template.read_text().replace("drop: [ALL]", "drop: []"))
    result = run_helm(RENDER, {"chart": str(altered), "values": {}, "name": "tuneship"})
    rendered = yaml.safe_load(json.loads(result.stdout)["tuneship/templates/deployment.yaml"])
    assert rendered["spec"] != read_base()["Deployment", "tuneship"]["spec"]
