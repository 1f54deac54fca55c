"""Run in the image's build: installs a requirement file into a folder, without what a server never uses.

`wheels.json`, which it writes there too, says what wheel each package came from.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from deploy.image.shrink import shrink

WHEELS = "wheels.json"
PIP_OPTIONS = ("--no-cache-dir", "--no-compile", "--no-deps", "--only-binary", ":all:")
PINNED = ("--require-hashes",)


def main(requirements: Path, folder: Path, own: Path | None = None) -> None:
    """``own`` is a folder of wheels of extensions, which are installed whole."""
    reports = [install(folder, *PINNED, "--requirement", str(requirements))]
    for cut, size in shrink(folder).items():
        sys.stdout.write(f"{size / 1e6:6.1f} MB less: {cut}\n")
    if own and (wheels := sorted(map(str, own.glob("*.whl")))):
        reports.append(install(folder, "--no-index", *wheels))
    found = [list_wheels(report, folder) for report in reports]
    (folder / WHEELS).write_text(json.dumps({name: each[name] for each in found for name in each}, indent=1) + "\n")


def install(folder: Path, *arguments: str) -> dict[str, Any]:
    """What pip reports: https://pip.pypa.io/en/stable/reference/installation-report/."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        places = ("--target", str(folder), "--report", report.name)
        command = [sys.executable, "-m", "pip", "install", *PIP_OPTIONS, *places, *arguments]
        subprocess.run(command, check=True)
        content: dict[str, Any] = json.loads(Path(report.name).read_bytes())
    return content


def list_wheels(report: dict[str, Any], folder: Path) -> dict[str, dict[str, str]]:
    """File and sha256 by package name, for the packages that are still in the folder."""
    kept = {normalize(each.name) for each in distributions(path=[str(folder)])}
    wheels = {normalize(each["metadata"]["name"]): describe_wheel(each["download_info"]) for each in report["install"]}
    return {name: wheels[name] for name in sorted(kept & wheels.keys())}


def describe_wheel(download: dict[str, Any]) -> dict[str, str]:
    file = PurePosixPath(unquote(urlsplit(download["url"]).path)).name
    return {"file": file, "sha256": download["archive_info"]["hash"].removeprefix("sha256=")}


def normalize(name: str) -> str:
    """As https://packaging.python.org/en/latest/specifications/name-normalization/ says."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
