"""The kustomization of the runtime and its model: KServe's own types take what it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.plan.folder import write_plan
from deploy.plan.plan import Request
from serving.errors import InputError
from tests.deploy.kserve.schemas import mistakes
from tests.deploy.manifests import kustomize
from tests.deploy.plan.conftest import DIGEST, IMAGE, MakePlan

KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


@pytest.mark.slow
def test_kserve_takes_it(make_plan: MakePlan, tmp_path: Path) -> None:
    """Both objects are named for the deployment, and have its images, size and replicas."""
    plan = make_plan("kserve", rate=3_000.0)
    objects: dict[Any, Any] = kustomize(write_plan(plan, tmp_path / "plan").parent)
    assert set(objects) == {(kind, "support") for kind in KINDS}
    for kind, schema in KINDS.items():
        assert list(mistakes(objects[kind, "support"], schema)) == []
    [container] = objects["ServingRuntime", "support"]["spec"]["containers"]
    predictor = objects["InferenceService", "support"]["spec"]["predictor"]
    assert container["image"] == IMAGE
    assert container["resources"]["limits"]["memory"] == "448Mi"
    assert predictor["minReplicas"] == plan.deployment.min_replicas > 2
    assert predictor["model"]["runtime"] == "support"
    assert predictor["model"]["storageUri"] == f"oci+native://registry.example.com/models/support{DIGEST}"


def test_the_models_image_is_needed() -> None:
    """And by its digest; other targets have the bundle in their own image."""
    with pytest.raises(InputError, match="kserve needs --model-image"):
        Request.of("kserve", IMAGE)
    with pytest.raises(InputError, match="--model-image 'support:1'"):
        Request.of("kserve", IMAGE, model_image="support:1")
    with pytest.raises(InputError, match="helm serves the bundle that is in --image"):
        Request.of("helm", IMAGE, model_image=IMAGE)
