"""Manifests as objects: read as they lie, built by Kustomize, rendered by Helm; and what they must all keep."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.paths import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "tuneship"
VALIDATORS = ROOT / ".venv-validators" / "bin" / "python"
VERSIONS = ("1.31", "1.37")
CUSTOM = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}
"""Kinds of other projects, which Kubernetes' own schemas don't have."""
BY_HELM = {"app.kubernetes.io/managed-by", "helm.sh/chart"}

Object = dict[str, Any]
Objects = dict[tuple[str, str], Object]
"""By kind and name."""

RENDER = """
import json, sys
import helm_python as helm
request = json.load(sys.stdin)
with helm.Chart.load(request["chart"]) as chart:
    print(json.dumps(chart.render(request["values"], name=request["name"], namespace="default")))
"""
"""What `helm template` does, by Helm's own code: the chart's defaults, the values, their schema."""


def index(objects: Iterable[Object]) -> Objects:
    """No two have one name."""
    found = list(objects)
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(by_name) == len(found)
    return by_name


def read_base(folder: Path = KUBERNETES / "base") -> Objects:
    """The files that a kustomization names, as they lie."""
    names = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return index(each for name in names for each in yaml.safe_load_all((folder / name).read_text()))


def kustomize(folder: Path) -> Objects:
    """What `kubectl apply --kustomize` would send; skips where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl, whose kustomize builds overlays")
    command = ["kubectl", "kustomize", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return index(yaml.safe_load_all(result.stdout))


@functools.cache
def why_no_helm() -> str:
    """Empty where Helm's library is at hand; else the reason to skip."""
    if not VALIDATORS.exists():
        return "needs .venv-validators: make validators"
    found = subprocess.run([str(VALIDATORS), "-c", "import helm_python"], capture_output=True, check=False)
    return "" if found.returncode == 0 else "needs helm-python-sdk in .venv-validators: make validators"


def run_helm(script: str, request: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """A script of Helm's library; skips where that is missing."""
    if why_no_helm():
        pytest.skip(why_no_helm())
    command = [str(VALIDATORS), "-c", script]
    return subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def render_files(values: Mapping[str, Any] | None = None, name: str = "tuneship") -> dict[str, str]:
    """The chart's rendered templates by their file names, NOTES.txt included."""
    result = run_helm(RENDER, {"chart": str(CHART), "values": values or {}, "name": name})
    assert result.returncode == 0, result.stderr
    return {Path(path).name: text for path, text in json.loads(result.stdout).items()}


def render_chart(values: Mapping[str, Any] | None = None, name: str = "tuneship") -> Objects:
    """The chart's objects."""
    files = render_files(values, name)
    documents = (each for file, text in files.items() if file != "NOTES.txt" for each in yaml.safe_load_all(text))
    return index(each for each in documents if each)


def without_helm_labels(objects: Objects) -> Objects:
    """The same objects, without what says that Helm has made them."""
    for each in objects.values():
        each["metadata"]["labels"] = {k: v for k, v in each["metadata"]["labels"].items() if k not in BY_HELM}
    return objects


def pods(objects: Objects) -> Iterator[Object]:
    """The specs of all pods."""
    for each in objects.values():
        if each["kind"] in {"Deployment", "Job"}:
            yield each["spec"]["template"]["spec"]


def assert_valid(objects: Objects, version: str) -> None:
    """Kubernetes' own schema takes every object, strictly: an unknown field is refused."""
    for (kind, _), each in objects.items():
        if kind not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


def violations(pod: Object) -> set[str]:
    """Which policies a pod breaks: the Pod Security Standard "restricted", and what this project asks for besides."""
    broken = set(_pod_violations(pod))
    for container in pod["containers"]:
        broken |= set(_container_violations(container))
    return broken


def _pod_violations(pod: Object) -> Iterator[str]:
    own = pod.get("securityContext", {})
    if not own.get("runAsNonRoot") or own.get("runAsUser") != 10001:
        yield "may be root"
    if own.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "has a token"
    if pod.get("enableServiceLinks") is not False:
        yield "is told of other services"
    if {"hostNetwork", "hostPID", "hostIPC"} & pod.keys() or any("hostPath" in each for each in pod.get("volumes", [])):
        yield "sees its node"
    if any("emptyDir" in each and "sizeLimit" not in each["emptyDir"] for each in pod.get("volumes", [])):
        yield "fills its node's disk"


def _container_violations(container: Object) -> Iterator[str]:
    rights = container.get("securityContext", {})
    if rights.get("privileged") or rights.get("allowPrivilegeEscalation") is not False:
        yield "privileged"
    if rights.get("capabilities") != {"drop": ["ALL"]}:
        yield "has capabilities"
    if not rights.get("readOnlyRootFilesystem"):
        yield "writes its root"
    if not re.fullmatch(r"[^:@]+(:\d+)?(/[^:@]+)+@sha256:[0-9a-f]{64}", container["image"]):
        yield "image without digest"
    resources = container.get("resources", {})
    if not {"cpu", "memory", "ephemeral-storage"} <= resources.get("limits", {}).keys():
        yield "no limits"
    if resources.get("requests") != resources.get("limits"):
        yield "requests differ from limits"
