"""The bundle's CycloneDX 1.6 ML-BOM, made from the manifest alone.

Format: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from export.bundle.files import BOM
from serving.bundle.manifest import Manifest


def create_bom(manifest: Manifest) -> bytes:
    """The same manifest gives the same bytes, with or without an entry for the bill itself."""
    packages = [_package_component(name, version) for name, version in sorted(manifest.versions.items())]
    # The manifest without its files identifies the bill: their hashes are in the bill, and the bill is one of them.
    digest = manifest.model_copy(update={"files": {}}).seal().digest
    bom = Bom(components=packages, serial_number=uuid5(NAMESPACE_URL, f"tuneship:{digest}"))
    bom.metadata.timestamp = datetime.fromisoformat(manifest.created)
    bom.metadata.component = model = _model_component(manifest)
    bom.metadata.tools.components.add(_package_component("tuneship", manifest.versions["tuneship"], "tool"))
    bom.register_dependency(model, packages)
    content = json.loads(JsonV1Dot6(bom).output_as_string())
    # cyclonedx-python-lib has no class for a model card; its validator checks it.
    content["metadata"]["component"]["modelCard"] = _model_card(manifest)
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _model_component(manifest: Manifest) -> Component:
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest.name,
        bom_ref="model",
        version=manifest.created,
        components=[
            Component(type=ComponentType.FILE, name=name, bom_ref=f"file:{name}", hashes=[_sha256(entry.sha256)])
            for name, entry in manifest.files.items()
            if name != BOM
        ],
        pedigree=Pedigree(ancestors=[_base_model_component(manifest.model)]),
        properties=[
            Property(name="tuneship:variant", value=manifest.graph.variant),
            *(Property(name="tuneship:fallback", value=each.graph.variant) for each in manifest.fallbacks),
            *(Property(name=f"tuneship:label:{index}", value=label) for index, label in enumerate(manifest.labels)),
        ],
    )


def _base_model_component(model: dict[str, Any]) -> Component:
    """Named by its hub id, or by its folder without the path."""
    name = str(model.get("id", "unknown"))
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=PurePosixPath(name).name if model.get("source") == "folder" else name,
        bom_ref="base-model",
        version=model.get("revision"),
        hashes=[_sha256(model["sha256"])] if model.get("sha256") else [],
    )


def _package_component(name: str, version: str, reference: str = "") -> Component:
    if name == "python":
        return Component(type=ComponentType.PLATFORM, name=name, version=version, bom_ref="python")
    purl, reference = PackageURL("pypi", name=name, version=version), reference or f"pypi:{name}"
    return Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=reference)


def _model_card(manifest: Manifest) -> dict[str, Any]:
    verdict, tokens = manifest.verdict, manifest.tokenizer.max_length
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": manifest.task,
            "architectureFamily": "transformer",
            "datasets": [_dataset(*each) for each in sorted(manifest.data.get("splits", {}).items())],
            "inputs": [{"format": f"text, at most {tokens} tokens in one window"}],
            "outputs": [{"format": "application/json"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": verdict.metric, "value": repr(score), "slice": f"test rows, as {how}"}
                for how, score in (("served", verdict.score), ("trained", verdict.reference_score))
                if score is not None
            ]
        },
    }


def _dataset(name: str, split: dict[str, Any]) -> dict[str, Any]:
    values = {"split": name, "rows": split["rows"], "sha256": split["sha256"]}
    properties = [{"name": f"tuneship:{key}", "value": str(value)} for key, value in values.items() if value]
    return {"type": "dataset", "name": f"{split['source']} ({name})", "contents": {"properties": properties}}


def _sha256(content: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=content)
