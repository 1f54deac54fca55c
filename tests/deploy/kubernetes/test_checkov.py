"""checkov's policies for Kubernetes, on what Kustomize builds and Helm renders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import KUBERNETES, VALIDATORS, Objects, kustomize, read_base, render_chart

CHECKOV = VALIDATORS.parent.parent / "checkov" / "bin" / "checkov"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOV.exists(), reason="needs checkov in .venv-validators: make validators"),
]

OF_THE_CALLER = {"CKV_K8S_21"}
"""The namespace is the one that `kubectl --namespace` or `helm --namespace` names."""


def failed_checks(objects: Objects, folder: Path) -> set[str]:
    """The ids of the checks that fail."""
    manifest = folder / "manifest.yaml"
    manifest.write_text(yaml.safe_dump_all(objects.values()))
    command = [
        str(CHECKOV),
        "--framework",
        "kubernetes",
        "--file",
        str(manifest),
        "--skip-download",
        "--output",
        "json",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    report = json.loads(result.stdout)
    assert report["summary"]["passed"] > 50
    assert report["summary"]["parsing_errors"] == 0
    return {each["check_id"] for each in report["results"]["failed_checks"]}


def test_the_overlays_pass(tmp_path: Path) -> None:
    """Production and its canary, all of them."""
    assert failed_checks(kustomize(KUBERNETES / "overlays" / "canary-weights"), tmp_path) == OF_THE_CALLER


def test_the_chart_passes(tmp_path: Path) -> None:
    """With keys and monitoring."""
    assert failed_checks(render_chart({"apiKeysSecret": "keys", "monitoring": True}), tmp_path) == OF_THE_CALLER


def test_a_bad_pod_does_not(tmp_path: Path) -> None:
    """Privileged, as root, by a tag."""
    objects = read_base()
    container = objects["Deployment", "tuneship"]["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"] = {"privileged": True}
    container["image"] = "registry.example.com/tuneship:latest"
    assert failed_checks(objects, tmp_path) >= {"CKV_K8S_16", "CKV_K8S_14", "CKV_K8S_43"}
