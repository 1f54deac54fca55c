"""Writes and reads requirement files with hashes: every package with the sha256 of its wheels, for each environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from deploy.image.install import normalize

FOLDER = Path(__file__).resolve().parent
GLIBC = tuple(range(36, 4, -1))
"""Minor versions of glibc that wheels are made for, from bookworm's down."""
NOT_LOCKED = ("pip", "setuptools", "wheel")

Hashes = dict[str, set[str]]
"""sha256 by `name==version`."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, in pip's words: ``linux`` or ``macos``, ``x86_64``, ``aarch64`` or ``arm64``, ``3.11``."""

    system: str
    machine: str
    python: str

    @property
    def options(self) -> list[str]:
        """Of pip, to choose wheels as it would there."""
        if self.system == "macos":
            tags = [f"macosx_14_0_{self.machine}"]
        else:
            tags = [*(f"manylinux_2_{minor}_{self.machine}" for minor in GLIBC), f"manylinux2014_{self.machine}"]
        platforms = [f"--platform={tag}" for tag in tags]
        return [*platforms, f"--python-version={self.python}", "--implementation=cp", "--only-binary=:all:"]

    @property
    def markers(self) -> dict[str, str]:
        """As requirements ask for them: https://packaging.python.org/en/latest/specifications/dependency-specifiers/."""
        names = {"linux": ("linux", "Linux"), "macos": ("darwin", "Darwin")}
        return {
            "sys_platform": names[self.system][0],
            "platform_system": names[self.system][1],
            "os_name": "posix",
            "platform_machine": self.machine,
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": "",
        }


PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = (("linux", "x86_64"), ("linux", "aarch64"), ("macos", "arm64"))
ENVIRONMENTS = tuple(Environment(*machine, python) for machine in MACHINES for python in PYTHONS)
"""Where a server can be installed."""


def write_locked(
    name: str, requirements: Sequence[str], environments: Iterable[Environment], options: Sequence[str] = ()
) -> None:
    """``options`` are of pip, for all requirements."""
    hashes: Hashes = {}
    for each in environments:
        for pin, digest in resolve([*options, *requirements_of(requirements, each)], each):
            hashes.setdefault(pin, set()).add(digest)
    markers = markers_of(requirements)
    head = "# Every package that a server needs, with the sha256 of its wheels. Written by `make lock`."
    (FOLDER / name).write_text("\n".join([head, *format_pins(hashes, markers)]) + "\n")
    sys.stdout.write(f"{name}: {len(hashes)} packages\n")


def requirements_of(requirements: Iterable[str], environment: Environment) -> list[str]:
    """Those that hold there, without their markers, which pip would evaluate for this interpreter."""
    parsed = [each for each in map(Requirement, requirements) if holds(each, environment)]
    return [str(each).partition(";")[0] for each in parsed]


def markers_of(requirements: Iterable[str]) -> dict[str, str]:
    """By package, where one of ENVIRONMENTS goes without it."""
    parsed = [each for each in map(Requirement, requirements) if not all(holds(each, env) for env in ENVIRONMENTS)]
    return {normalize(each.name): str(each.marker) for each in parsed}


def holds(requirement: Requirement, environment: Environment) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment.markers)


def resolve(requirements: Sequence[str], environment: Environment) -> list[tuple[str, str]]:
    """What pip would install there: pins, each with its wheel's sha256."""
    return [
        (f"{each['metadata']['name']}=={each['metadata']['version']}", sha256_of(each))
        for each in installed(requirements, environment)
    ]


def installed(requirements: Sequence[str], environment: Environment) -> list[dict[str, Any]]:
    """The `install` entries of pip's report, which it makes without installing anything.

    pip evaluates markers for this interpreter, not for that environment.
    """
    options = ["--dry-run", "--quiet", "--ignore-installed", "--target", "unused", "--report", "-"]
    command = [sys.executable, "-m", "pip", "install", *options, *environment.options, *requirements]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    entries: list[dict[str, Any]] = json.loads(answer.stdout)["install"]
    return [each for each in entries if each["metadata"]["name"] not in NOT_LOCKED]


def sha256_of(entry: dict[str, Any]) -> str:
    digest: str = entry["download_info"]["archive_info"]["hashes"]["sha256"]
    return digest


def format_pins(hashes: Hashes, markers: Mapping[str, str] | None = None) -> list[str]:
    """In pip's format, sorted by name."""
    return [
        " \\\n".join([with_marker(pin, markers or {}), *(f"    --hash=sha256:{each}" for each in sorted(hashes[pin]))])
        for pin in sorted(hashes, key=str.lower)
    ]


def with_marker(pin: str, markers: Mapping[str, str]) -> str:
    marker = markers.get(normalize(pin.partition("==")[0]))
    return f"{pin} ; {marker}" if marker else pin


def read_pins(path: Path) -> dict[str, str]:
    """``name==version`` by normalized name, without hashes and markers."""
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\w\S*==", line))
    return {normalize(pin.partition("==")[0]): pin for pin in (line.split()[0].rstrip(";") for line in lines)}


def read_hashes(path: Path) -> dict[str, list[str]]:
    """Of each pin, the options of pip that demand one of its wheels."""
    entries = re.split(r"^(?=\w)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pinned = (each for each in entries if re.match(r"\w\S*==", each))
    return {each.split()[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}\b", each) for each in pinned}
