"""Writes the requirement files of the image: every package with the sha256 of its wheels, for each processor type."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PYTHON = "3.11"
GLIBC = (36, 34, 31, 28, 27, 26, 24, 17, 12, 5)
"""Minor versions of glibc that wheels are made for, up to bookworm's."""
NOT_LOCKED = ("pip", "setuptools", "wheel")

Hashes = dict[str, set[str]]
"""sha256 by `name==version`."""


def write_locked(name: str, requirements: Sequence[str], machines: Iterable[str]) -> None:
    hashes: Hashes = {}
    for machine in machines:
        for pin, digest in resolve(requirements, machine):
            hashes.setdefault(pin, set()).add(digest)
    head = "# What the image installs: each package with the sha256 of its wheels. Written by `make lock`."
    (FOLDER / name).write_text("\n".join([head, *format_pins(hashes)]) + "\n")
    sys.stdout.write(f"{name}: {len(hashes)} packages\n")


def resolve(requirements: Sequence[str], machine: str) -> list[tuple[str, str]]:
    """What pip would install on Linux with this processor type: pins, each with its wheel's sha256."""
    return [
        (f"{each['metadata']['name']}=={each['metadata']['version']}", sha256_of(each))
        for each in installed(requirements, machine)
    ]


def installed(requirements: Sequence[str], machine: str, python: str = PYTHON) -> list[dict[str, Any]]:
    """The `install` entries of pip's report, which it makes without installing anything."""
    tags = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"--platform=manylinux2014_{machine}"]
    wheels = [*tags, f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
    options = ["--dry-run", "--quiet", "--ignore-installed", "--target", "unused", "--report", "-"]
    command = [sys.executable, "-m", "pip", "install", *options, *wheels, *requirements]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    entries: list[dict[str, Any]] = json.loads(answer.stdout)["install"]
    return [each for each in entries if each["metadata"]["name"] not in NOT_LOCKED]


def sha256_of(entry: dict[str, Any]) -> str:
    digest: str = entry["download_info"]["archive_info"]["hashes"]["sha256"]
    return digest


def format_pins(hashes: Hashes) -> list[str]:
    """In pip's format, sorted by name."""
    return [
        " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(hashes[pin]))])
        for pin in sorted(hashes, key=str.lower)
    ]
