"""The image's bill of materials: valid CycloneDX, with every package and the bundle's model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.image.bom import create_image_bom

IMAGE = {
    "Id": "sha256:" + "0" * 64,
    "Architecture": "amd64",
    "RootFS": {"Layers": ["sha256:" + "1" * 64]},
    "Config": {
        "Labels": {
            "org.opencontainers.image.title": "tuneship",
            "org.opencontainers.image.version": "1.0",
            "org.opencontainers.image.created": "2026-11-30T08:00:00+00:00",
        }
    },
}
WHEEL = {"file": "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", "sha256": "2" * 64}
CONTENTS = {
    "python": "3.11.2",
    "system": {"ID": "debian", "VERSION_ID": "12"},
    "packages": [{"name": "numpy", "version": "2.4.6", "license": "BSD-3-Clause AND MIT", **WHEEL}],
    "debian": [{"name": "libc6", "version": "2.36-9+deb12u13", "architecture": "amd64"}],
}


@pytest.fixture(scope="module")
def bom(tiny_bundle: Path) -> dict[str, Any]:
    """The bill of an image with the tiny bundle."""
    return parsed(create_image_bom(IMAGE, CONTENTS, tiny_bundle))


def parsed(text: bytes) -> dict[str, Any]:
    """The bill, which CycloneDX's own strict validator has taken."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode()) is None
    content: dict[str, Any] = json.loads(text)
    return content


def named(bom: dict[str, Any], name: str) -> dict[str, Any]:
    """The component of this name."""
    (found,) = (each for each in bom["components"] if each["name"] == name)
    return dict(found)


def test_a_package_has_its_wheels_hash(bom: dict[str, Any]) -> None:
    """Scanners know it by its purl."""
    numpy = named(bom, "numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@2.4.6?file_name={WHEEL['file']}"
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": WHEEL["sha256"]}]
    assert numpy["licenses"] == [{"expression": "BSD-3-Clause AND MIT"}]


def test_a_debian_package_is_one_of_its_release(bom: dict[str, Any]) -> None:
    """With architecture and release, which decide what is known of its vulnerabilities."""
    assert named(bom, "libc6")["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"


def test_the_model_is_linked_to_its_own_bill(bom: dict[str, Any], tiny_bundle: Path) -> None:
    """The link has the hash of the bundle's file."""
    data = (tiny_bundle / "bom.cdx.json").read_bytes()
    bill = json.loads(data)
    model = named(bom, bill["metadata"]["component"]["name"])
    (link,) = model["externalReferences"]
    assert model["modelCard"] == bill["metadata"]["component"]["modelCard"]
    assert link["url"] == f"urn:cdx:{bill['serialNumber'].removeprefix('urn:uuid:')}/1"
    assert link["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def test_it_tells_the_layers(bom: dict[str, Any]) -> None:
    """The bill is of one image."""
    properties = {each["name"]: each["value"] for each in bom["metadata"]["component"]["properties"]}
    assert properties["tuneship:image:layer:0"] == IMAGE["RootFS"]["Layers"][0]  # type: ignore[index]
    assert properties["tuneship:image:id"] == IMAGE["Id"]
