"""`make lock`: the versions that everything is tested with, within pyproject.toml's ranges.

requirements.txt is for servers (Bento, Lambda); requirements-dev.txt adds training and tests. The files of
deploy/image have the hashes of wheels too. What is locked stays, as far as the ranges allow it; `--upgrade` takes the
newest. `--lowest` prints the lower bounds of a server's ranges in place of that.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from deploy.image.install import normalize
from deploy.image.lock import (
    ENVIRONMENTS,
    FOLDER,
    markers_of,
    read_pins,
    with_marker,
    write_locked,
)

ROOT = Path(__file__).resolve().parent.parent
NOT_PINNED = ("pip", "tuneship")
APART = ("gpu", "qlora", "minilm")
"""Extras of some machines: onnxruntime's other build, what peft would load in every training, a base model."""

SERVER = ("otel",)
"""Extras that servers have: traces, which a cluster can switch on for all containers without a new image."""

CUDA = FOLDER / "requirements-cuda.txt"

CONSTRAINTS = ROOT / "templates" / "text-classification" / "constraints.txt"
"""The same versions for new projects."""

Groups = dict[str, list[str]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.lock", description="Write the requirement files.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not the locked ones")
    parser.add_argument("--lowest", nargs="*", metavar="EXTRA", help="print a server's lower bounds, with these extras")
    options = parser.parse_args(arguments)
    groups = read_groups()
    if options.lowest is not None:
        chosen = [line for name in ("server", *options.lowest) for line in groups[name]]
        sys.stdout.write("\n".join(map(lower_bound, chosen)) + "\n")
    else:
        write_all(groups, upgrade=options.upgrade)


def read_groups() -> Groups:
    """pyproject.toml's requirements by extra, a server's own as ``server``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"server": project["dependencies"], **project["optional-dependencies"]}


def write_all(groups: Groups, *, upgrade: bool) -> None:
    markers = markers_of(line for group in groups.values() for line in group)
    served = [*groups["server"], *(line for name in SERVER for line in groups[name])]
    locked = lock(served, ROOT / "requirements.txt", upgrade=upgrade, leave_out=("setuptools",))
    write("requirements.txt", "Everything a server needs", locked, markers)
    write_image_locks([with_marker(line, markers) for line in locked], groups["gpu"], upgrade=upgrade)
    everything = [line for name, group in groups.items() if name not in APART for line in group]
    locked = lock(everything, ROOT / "requirements-dev.txt", upgrade=upgrade)
    write("requirements-dev.txt", "Everything: serving, training, signing, tests", locked, markers)
    CONSTRAINTS.write_text((ROOT / "requirements-dev.txt").read_text())


def lock(requirements: Sequence[str], locked: Path, *, upgrade: bool, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Install the requirements in a new environment and freeze it."""
    with tempfile.TemporaryDirectory() as folder:
        kept = [] if upgrade else write_kept(Path(folder) / "locked.txt", locked, requirements)
        venv.create(Path(folder) / "venv", with_pip=True)
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *kept, *requirements], check=True)
        freeze = [str(python), "-m", "pip", "freeze", "--all"]
        listing = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    return [pin(line) for line in listing if line.partition("==")[0] not in (*NOT_PINNED, *leave_out)]


def write(name: str, title: str, pins: Sequence[str], markers: Mapping[str, str]) -> None:
    head = f"# {title}, with all dependencies. Written by `make lock` from pyproject.toml."
    (ROOT / name).write_text("\n".join([head, *(with_marker(line, markers) for line in pins)]) + "\n")
    sys.stdout.write(f"{name}: {len(pins)} packages\n")


def write_kept(target: Path, locked: Path, requirements: Sequence[str]) -> list[str]:
    """Options of pip for a file of constraints: what is locked, but where the ranges have left it."""
    ranges = {normalize(each.name): each.specifier for each in map(Requirement, requirements)}
    pins = [
        pin
        for name, pin in read_pins(locked).items()
        if name not in ranges or ranges[name].contains(pin.partition("==")[2], prereleases=True)
    ]
    target.write_text("\n".join(pins) + "\n")
    return ["--constraint", str(target)]


def write_image_locks(pins: Sequence[str], gpu: Sequence[str], *, upgrade: bool) -> None:
    """The versions of requirements.txt; for GPUs, with onnxruntime's other build and the CUDA libraries it needs."""
    write_locked("requirements-cpu.txt", pins, ENVIRONMENTS, ["--no-deps"])
    others = [line for line in pins if not line.startswith("onnxruntime==")]
    linux = [each for each in ENVIRONMENTS if (each.system, each.machine) == ("linux", "x86_64")]
    with tempfile.TemporaryDirectory() as folder:
        kept = [] if upgrade else write_kept(Path(folder) / "locked.txt", CUDA, [*pins, *gpu])
        write_locked("requirements-cuda.txt", [*others, *gpu], linux, kept)


def lower_bound(requirement: str) -> str:
    """``name[extra]==version ; marker`` of a range's lowest version."""
    range_, _, marker = requirement.partition(";")
    found = re.fullmatch(r"([\w.-]+(?:\[[\w,-]+\])?)\s*(?:>=|==)([\w.]+)(?:,.*)?", range_.strip())
    if found is None:
        raise ValueError(f"{requirement!r} has no lower bound")
    return f"{found[1]}=={found[2]}" + (f" ; {marker.strip()}" if marker else "")


def pin(line: str) -> str:
    """The line without its local version, which differs between torch's CPU and CUDA builds."""
    return line.partition("+")[0]


if __name__ == "__main__":
    main()
