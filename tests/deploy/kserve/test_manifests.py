"""`deploy/kserve`: KServe's own types take the manifests, and they fit the server and its image of a bundle."""

from __future__ import annotations

import copy
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.measurement.process import free_port
from tests.deploy.kserve.schemas import assert_valid_pod, mistakes
from tests.deploy.manifests import VERSIONS, violations
from tests.paths import ROOT
from tests.serving.processes import python, running

FOLDER = ROOT / "deploy" / "kserve"
RUNTIME, SERVICE = "V1alpha1ServingRuntime", "V1beta1InferenceService"


def read(name: str) -> dict[str, Any]:
    """A manifest."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return content


def runtime() -> dict[str, Any]:
    """The serving runtime's spec."""
    spec: dict[str, Any] = read("serving-runtime")["spec"]
    return spec


def predictor() -> dict[str, Any]:
    """The inference service's predictor."""
    found: dict[str, Any] = read("inference-service")["spec"]["predictor"]
    return found


@pytest.mark.parametrize(("name", "kind"), [("serving-runtime", RUNTIME), ("inference-service", SERVICE)])
def test_kserve_takes_it(name: str, kind: str) -> None:
    """Every key is one of KServe's types, and holds what that says."""
    assert list(mistakes(read(name), kind)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_pods(version: str) -> None:
    """What of it is a pod's, strictly."""
    assert_valid_pod(runtime(), f"{RUNTIME}Spec", version)
    assert_valid_pod(predictor(), "V1beta1PredictorSpec", version)


def test_the_checks_can_fail() -> None:
    """A misspelt key and a wrong type of KServe's are found, and a misspelt one of a container."""
    altered = copy.deepcopy(read("inference-service"))
    altered["spec"]["predictor"]["model"]["storageUrl"] = "oci://x"
    altered["spec"]["predictor"]["minReplicas"] = "2"
    found = list(mistakes(altered, SERVICE))
    assert found == [".spec.predictor.minReplicas is no int", ".spec.predictor.model.storageUrl is unknown"]
    spec = copy.deepcopy(runtime())
    spec["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        assert_valid_pod(spec, f"{RUNTIME}Spec", VERSIONS[-1])


def test_the_pod_breaks_no_policy() -> None:
    """Of the service and the runtime together, as KServe joins them."""
    rights = ("securityContext", "automountServiceAccountToken", "enableServiceLinks")
    pod = {
        **{key: predictor()[key] for key in rights},
        "containers": runtime()["containers"],
        "volumes": runtime()["volumes"],
    }
    assert violations(pod) == set()


def test_the_model_is_named_by_its_digest() -> None:
    """An image of the bundle, which KServe mounts at the path that the runtime serves."""
    assert re.fullmatch(r"oci\+native://[\w.]+(/[\w-]+)+@sha256:[0-9a-f]{64}", predictor()["model"]["storageUri"])
    env = {each["name"]: each["value"] for each in runtime()["containers"][0]["env"]}
    assert env["TUNESHIP_BUNDLE"].endswith("=/mnt/models")
    assert (FOLDER / "model.Dockerfile").read_text().endswith("FROM ${BASE}\nCOPY . /models\n")


def test_the_two_fit() -> None:
    """The service asks for the runtime's name, format and protocol, and has time to drain."""
    model, env = predictor()["model"], {each["name"]: each["value"] for each in runtime()["containers"][0]["env"]}
    assert model["runtime"] == read("serving-runtime")["metadata"]["name"]
    assert model["modelFormat"]["name"] in {each["name"] for each in runtime()["supportedModelFormats"]}
    assert model["protocolVersion"] in runtime()["protocolVersions"]
    needed = float(env["TUNESHIP_DRAIN_SECONDS"]) + float(env["TUNESHIP_GRACE_SECONDS"]) + 1
    assert predictor()["terminationGracePeriodSeconds"] > needed


@pytest.mark.slow
def test_the_server_answers_as_kserve_asks(tiny_bundle: Path, tmp_path: Path) -> None:
    """Under the service's name, by the protocols that the runtime tells of; its probes and metrics are there."""
    [container] = runtime()["containers"]
    bundle = {each["name"]: each["value"] for each in container["env"]}["TUNESHIP_BUNDLE"]
    name, port = read("inference-service")["metadata"]["name"], free_port()
    target = bundle.replace("{{.Name}}", name).replace("/mnt/models", str(tiny_bundle))
    with running(python("-m", "tuneship", "serve", target, "--port", port), port, tmp_path / "log") as server:
        paths = [container[f"{each}Probe"]["httpGet"]["path"] for each in ("startup", "readiness", "liveness")]
        for path in [*paths, runtime()["annotations"]["prometheus.kserve.io/path"], f"/v2/models/{name}/ready"]:
            with urllib.request.urlopen(server.url + path, timeout=60) as answer:
                assert answer.status == 200
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["where is my parcel?"]}
        asked = {
            f"/v2/models/{name}/infer": {"inputs": [tensor]},
            f"/v1/models/{name}:predict": {"instances": ["refund"]},
        }
        for path, body in asked.items():
            request = urllib.request.Request(
                server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer)
