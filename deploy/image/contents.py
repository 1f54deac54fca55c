"""Run in a finished image: prints as JSON what is installed there. It needs the standard library alone."""

from __future__ import annotations

import json
import platform
import re
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path

PACKAGES, DPKG = Path("/opt/packages"), Path("/var/lib/dpkg")


def read_contents() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.freedesktop_os_release(),
        "packages": sorted(map(describe_package, distributions(path=[str(PACKAGES)])), key=lambda each: each["name"]),
        "debian": describe_debian_packages(),
    }


def describe_package(package: Distribution) -> dict[str, str]:
    """Name, version, license, and the wheel that it came from."""
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    wheels = json.loads((PACKAGES / "wheels.json").read_bytes())
    (license_, *_) = package.metadata.get_all("License-Expression") or [""]
    return {"name": name, "version": package.version, "license": license_, **wheels[name]}


def describe_debian_packages() -> list[dict[str, str]]:
    """From dpkg's status, or from the one file a package that a distroless image has in its place."""
    files = [DPKG / "status", *sorted((DPKG / "status.d").glob("*"))]
    stanzas = [
        stanza for file in files if file.is_file() for stanza in file.read_text().split("\n\n") if stanza.strip()
    ]
    entries = [HeaderParser().parsestr(stanza) for stanza in stanzas]
    keys = {"name": "Package", "version": "Version", "architecture": "Architecture"}
    return [{key: str(entry[field]) for key, field in keys.items()} for entry in entries]


if __name__ == "__main__":
    print(json.dumps(read_contents()))
