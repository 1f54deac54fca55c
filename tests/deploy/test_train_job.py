"""The Kubernetes job of `deploy/kubernetes`: Kubernetes' own schema takes it, it asks for no rights, names add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.paths import ROOT
from trainer.recipe.recipe import load_recipe

MANIFEST = ROOT / "deploy" / "kubernetes" / "train-job.yaml"
VERSIONS = ("1.31", "1.37")


def objects() -> dict[str, dict[str, Any]]:
    """By kind; there is one of each."""
    found = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def pod() -> dict[str, Any]:
    """The job's template of pods."""
    spec: dict[str, Any] = objects()["Job"]["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    """The only one."""
    [only] = pod()["containers"]
    return dict(only)


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_it(version: str) -> None:
    """Strictly: an unknown field is refused."""
    for each in objects().values():
        kubernetes_validate.validate(each, version, strict=True)


def test_the_check_can_fail() -> None:
    """A misspelt field is found."""
    job = objects()["Job"]
    job["spec"]["backofLimit"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS[-1], strict=True)


def test_it_asks_for_no_rights() -> None:
    """What the Pod Security Standard "restricted" wants, and a root that cannot be written."""
    own, rights = pod()["securityContext"], container()["securityContext"]
    assert own["runAsNonRoot"]
    assert own["runAsUser"] == 10001
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert rights == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod().keys()
    assert pod()["automountServiceAccountToken"] is False
    assert all(set(each) - {"name"} <= {"emptyDir", "configMap", "persistentVolumeClaim"} for each in pod()["volumes"])


def test_it_has_limits_and_no_secrets() -> None:
    """A machine's other pods are safe from it; credentials come from a role or from a secret that lies elsewhere."""
    limits, requests = container()["resources"]["limits"], container()["resources"]["requests"]
    assert {"cpu", "memory", "ephemeral-storage"} <= limits.keys()
    assert requests.keys() == limits.keys()
    assert all("sizeLimit" in each["emptyDir"] for each in pod()["volumes"] if "emptyDir" in each)
    assert container()["envFrom"] == [{"secretRef": {"name": "tuneship-train", "optional": True}}]
    assert not [each for each in container()["env"] if any(word in each["name"] for word in ("KEY", "SECRET", "TOKEN"))]
    assert "Secret" not in objects()


def test_the_image_is_named_by_its_digest() -> None:
    """A tag may be another image tomorrow; a new pod must train with the same code."""
    name, _, digest = container()["image"].partition("@sha256:")
    assert ":" not in name
    assert len(digest) == 64


def test_a_machine_that_is_taken_away_is_no_failure() -> None:
    """Its pod is made anew; the process has the time to bring its state away first."""
    job = objects()["Job"]["spec"]
    rules = job["podFailurePolicy"]["rules"]
    assert {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]} in rules
    assert pod()["restartPolicy"] == "Never"  # which podFailurePolicy asks for
    assert pod()["terminationGracePeriodSeconds"] > 30  # torchrun's own
    assert '--state-to "$STATE_TO"' in container()["args"][0]


def test_the_pods_find_each_other() -> None:
    """As many as torchrun waits for; the first by its name and the service's, and nobody else reaches them."""
    found = objects()
    job, service, labels = found["Job"], found["Service"], found["Job"]["spec"]["template"]["metadata"]["labels"]
    env = {each["name"]: each["value"] for each in container()["env"]}
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(env["NODES"])
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == labels
    assert pod()["subdomain"] == service["metadata"]["name"]
    port = service["spec"]["ports"][0]["port"]
    assert env["RENDEZVOUS"] == f"{job['metadata']['name']}-0.{pod()['subdomain']}:{port}"
    policy = found["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": labels}}]}]


def test_the_machines_share_the_run() -> None:
    """All read the states that the first one writes."""
    claim = objects()["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    runs = next(each for each in pod()["volumes"] if each["name"] == "runs")
    assert runs["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


def test_the_recipe_is_one(tmp_path: Path) -> None:
    """The example's recipe is checked as any; the pod sees it where the command reads it."""
    name, text = next(iter(objects()["ConfigMap"]["data"].items()))
    (tmp_path / name).write_text(text)
    assert load_recipe(tmp_path / name).training.save_steps
    mounts = {each["name"]: each["mountPath"] for each in container()["volumeMounts"]}
    assert f"{mounts['recipe']}/{name} --output {mounts['runs']}/" in container()["args"][0]
