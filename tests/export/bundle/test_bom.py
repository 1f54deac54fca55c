"""The bill of materials: valid CycloneDX, made from the manifest alone, with a hash for whatever it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from export.bundle.bom import create_bom
from export.bundle.files import BOM
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import Manifest
from tests.toys import TOYS


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    """The fp32 bundle's."""
    return Bundle.open(tiny_bundle).manifest


@pytest.fixture(scope="module")
def bom(tiny_bundle: Path) -> dict[str, Any]:
    """The fp32 bundle's, read as JSON."""
    content: dict[str, Any] = json.loads((tiny_bundle / BOM).read_bytes())
    return content


@pytest.mark.parametrize("toy", TOYS)
def test_valid(task_bundle: Callable[[str], Path], toy: str) -> None:
    """CycloneDX's own strict validator takes the bill of every task."""
    text = (task_bundle(toy) / BOM).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_validator_rejects_unknown_fields(bom: dict[str, Any]) -> None:
    """The same validator refuses a model card with a made-up field."""
    bom = json.loads(json.dumps(bom))
    bom["metadata"]["component"]["modelCard"]["surprise"] = 1
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is not None


def test_made_from_the_manifest_alone(tiny_bundle: Path, tiny_fallback_bundle: Path) -> None:
    """The sealed manifest gives the same bill, byte for byte."""
    for bundle in (tiny_bundle, tiny_fallback_bundle):
        assert create_bom(Bundle.open(bundle).manifest) == (bundle / BOM).read_bytes()


def test_every_file_is_in_it(bom: dict[str, Any], manifest: Manifest) -> None:
    """Each file of the manifest except the bill itself, with the same hash."""
    listed = {each["name"]: each["hashes"][0]["content"] for each in bom["metadata"]["component"]["components"]}
    assert listed == {name: entry.sha256 for name, entry in manifest.files.items() if name != BOM}


def test_the_model(bom: dict[str, Any], manifest: Manifest) -> None:
    """A machine-learning model with its task, its score, its data's fingerprints and its base model's hash."""
    component = bom["metadata"]["component"]
    assert (bom["specVersion"], component["type"]) == ("1.6", "machine-learning-model")
    card = component["modelCard"]
    assert card["modelParameters"]["task"] == manifest.task
    assert float(card["quantitativeAnalysis"]["performanceMetrics"][0]["value"]) == manifest.verdict.score
    datasets = card["modelParameters"]["datasets"]
    fingerprints = [{each["name"]: each["value"] for each in data["contents"]["properties"]} for data in datasets]
    assert {each["tuneship:split"]: each["tuneship:sha256"] for each in fingerprints} == {
        name: split["sha256"] for name, split in manifest.data["splits"].items()
    }
    (ancestor,) = component["pedigree"]["ancestors"]
    assert ancestor["name"] == "tiny-bert"
    assert ancestor["hashes"][0]["content"] == manifest.model["sha256"]


def test_the_packages(bom: dict[str, Any], manifest: Manifest) -> None:
    """Each package of the manifest with its version and address, and the model depends on all of them."""
    assert {each["name"]: each["version"] for each in bom["components"]} == manifest.versions
    assert f"pkg:pypi/onnxruntime@{manifest.versions['onnxruntime']}" in [
        each.get("purl") for each in bom["components"]
    ]
    (model,) = (each for each in bom["dependencies"] if each["ref"] == "model")
    assert len(model["dependsOn"]) == len(manifest.versions)


def test_no_folder_of_the_machine_is_named(bom: dict[str, Any], manifest: Manifest) -> None:
    """A base model from a folder appears by its name, without the path."""
    assert "/" in manifest.model["id"]
    assert manifest.model["id"] not in json.dumps(bom)
