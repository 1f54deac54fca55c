"""KServe's own types, of its Python package: which keys an object may have, and what they hold."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.manifests import VALIDATORS

READ = """
import importlib.util, json, sys, types
package = types.ModuleType("kserve")  # without the server that it brings
package.__path__ = importlib.util.find_spec("kserve").submodule_search_locations
sys.modules["kserve"] = package
import kserve.models as models
classes = {name: each for name, each in vars(models).items() if hasattr(each, "openapi_types")}
print(json.dumps({
    name: {each.attribute_map[field]: kind for field, kind in each.openapi_types.items()}
    for name, each in classes.items()
}))
"""
PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "object": dict}


Types = dict[str, dict[str, str]]


@functools.cache
def read_types() -> Types:
    """By class; skips where the package is missing."""
    if not VALIDATORS.exists():
        pytest.skip("needs .venv-validators: make validators")
    result = subprocess.run([str(VALIDATORS), "-c", READ], capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0:
        pytest.skip("needs kserve in .venv-validators: make validators")
    types: Types = json.loads(result.stdout)
    return types


def mistakes(content: Any, kind: str, where: str = "") -> Iterator[str]:
    """What KServe's types do not take: unknown keys, wrong types. Kubernetes' own types are left to `as_pod`."""
    types = read_types()
    if kind.startswith("list["):
        for number, each in enumerate(content):
            yield from mistakes(each, kind[5:-1], f"{where}[{number}]")
    elif kind in types:
        for key, each in content.items():
            if key not in types[kind]:
                yield f"{where}.{key} is unknown"
            else:
                yield from mistakes(each, types[kind][key], f"{where}.{key}")
    elif kind in PLAIN and (not isinstance(content, PLAIN[kind]) or (kind == "int" and isinstance(content, bool))):
        yield f"{where} is no {kind}"


def as_pod(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    """The keys that are Kubernetes', as a pod, for Kubernetes' own schema."""
    own = {key: each for key, each in pod.items() if "V1beta1" not in read_types()[kind][key]}
    kubernetes = {key: each for key, each in own.items() if key not in OF_KSERVE}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod"},
        "spec": {"containers": [{"name": "kserve-container", "image": "x"}], **kubernetes},
    }


OF_KSERVE = {
    "annotations", "labels", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout",
    "protocolVersions", "supportedModelFormats",
}  # fmt: skip
"""Of plain types, beside a pod's."""


def assert_valid_pod(pod: dict[str, Any], kind: str, version: str) -> None:
    """Strictly."""
    kubernetes_validate.validate(as_pod(pod, kind), version, strict=True)
