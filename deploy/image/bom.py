"""The image's CycloneDX 1.6 bill: Python packages with their wheels' hashes, Debian packages, and the model's own bill.

Format: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

BUNDLE_BILL = "bom.cdx.json"


def create_image_bom(image: dict[str, Any], contents: dict[str, Any], bundle: Path) -> bytes:
    """Of what `docker image inspect` and `deploy.image.contents` say, with the model of the bundle's bill."""
    root = image_component(image)
    parts = [*system_components(contents), *map(package_component, contents["packages"])]
    bom = Bom(components=parts)
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromisoformat(image["Config"]["Labels"]["org.opencontainers.image.created"])
    bom.register_dependency(root, parts)
    content = json.loads(JsonV1Dot6(bom).output_as_string())
    content["components"].append(model_component(bundle / BUNDLE_BILL))
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def image_component(image: dict[str, Any]) -> Component:
    """Its layers tell whether two images hold the same files."""
    labels = image["Config"]["Labels"]
    return Component(
        type=ComponentType.CONTAINER,
        name=labels["org.opencontainers.image.title"],
        version=labels["org.opencontainers.image.version"],
        bom_ref="image",
        properties=[
            Property(name="tuneship:image:id", value=image["Id"]),
            Property(name="tuneship:image:architecture", value=image["Architecture"]),
            *(Property(name=f"tuneship:image:label:{name}", value=value) for name, value in labels.items()),
            *(
                Property(name=f"tuneship:image:layer:{n}", value=each)
                for n, each in enumerate(image["RootFS"]["Layers"])
            ),
        ],
    )


def system_components(contents: dict[str, Any]) -> list[Component]:
    """The operating system, its packages, and Python."""
    system, number = contents["system"]["ID"], contents["system"].get("VERSION_ID", "")
    python = Component(type=ComponentType.PLATFORM, name="python", version=contents["python"], bom_ref="python")
    return [
        Component(type=ComponentType.OPERATING_SYSTEM, name=system, version=number, bom_ref="system"),
        python,
        *(debian_component(each, system, f"{system}-{number}") for each in contents["debian"]),
    ]


def debian_component(entry: dict[str, str], system: str, distribution: str) -> Component:
    qualifiers = {"arch": entry["architecture"], "distro": distribution}
    purl = PackageURL("deb", system, entry["name"], entry["version"], qualifiers)
    reference = f"deb:{entry['name']}:{entry['architecture']}"
    return Component(name=entry["name"], version=entry["version"], purl=purl, bom_ref=reference)


def package_component(entry: dict[str, str]) -> Component:
    """Its hash is the wheel's, of which the image leaves out what a server never uses."""
    name, version = entry["name"], entry["version"]
    return Component(
        name=name,
        version=version,
        purl=PackageURL("pypi", name=name, version=version, qualifiers={"file_name": entry["file"]}),
        bom_ref=f"pypi:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry["sha256"])],
        licenses=[LicenseExpression(entry["license"])] if entry["license"] else [],
    )


def model_component(bill: Path) -> dict[str, Any]:
    """The model of the bundle's bill, with a link to that bill, which also tells what the model was trained with."""
    data = bill.read_bytes()
    content = json.loads(data)
    serial = content["serialNumber"].removeprefix("urn:uuid:")
    link = {
        "type": "bom",
        "url": f"urn:cdx:{serial}/{content['version']}",
        "comment": f"app/bundle/{bill.name} in the image",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}],
    }
    model: dict[str, Any] = content["metadata"]["component"]
    return {**model, "externalReferences": [*model.get("externalReferences", []), link]}
