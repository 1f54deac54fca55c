"""The overlay: built by Kustomize, taken by Kubernetes' schema, with every policy kept and every value in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.plan.folder import write_plan
from tests.deploy.manifests import VERSIONS, Objects, assert_valid, kustomize, pods, violations
from tests.deploy.plan.conftest import IMAGE, MakePlan

pytestmark = pytest.mark.slow


@pytest.fixture
def objects(make_plan: MakePlan, tmp_path: Path) -> Objects:
    """What would be applied."""
    return kustomize(write_plan(make_plan("kubernetes", rate=3_000.0), tmp_path / "plan").parent)


@pytest.mark.parametrize("version", VERSIONS)
def test_valid(objects: Objects, version: str) -> None:
    """Strictly, and within the policies."""
    assert_valid(objects, version)
    assert [violations(pod) for pod in pods(objects)] == [set()]


def test_values_arrive(objects: Objects, make_plan: MakePlan) -> None:
    """Image by digest, size, threads, replicas, the bundle's digest, under the deployment's name."""
    deployment = make_plan("kubernetes", rate=3_000.0).deployment
    template = objects["Deployment", "tuneship-support"]["spec"]["template"]
    [container] = template["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert container["image"] == IMAGE
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "448Mi", "ephemeral-storage": "256Mi"}
    assert (env["TUNESHIP_THREADS"], env["TUNESHIP_WAIT_SECONDS"]) == ("1", "30")
    assert template["metadata"]["annotations"]["tuneship/bundle-digest"] == deployment.bundle_digest
    scaler = objects["HorizontalPodAutoscaler", "tuneship-support"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (deployment.min_replicas, deployment.max_replicas)
    assert deployment.min_replicas > 2
