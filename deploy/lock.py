"""`make lock`: install pyproject.toml's requirements in clean environments and write every version to a file.

requirements.txt is for servers (Bento, Lambda); requirements-dev.txt adds training and tests. The image's files, in
deploy/image, have the hashes of wheels too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from deploy.image.lock import write_locked

ROOT = Path(__file__).resolve().parent.parent
NOT_PINNED = ("pip", "tuneship")
APART = ("gpu", "qlora")
"""Extras of some machines: onnxruntime's other build, and what peft would load in every training."""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    serve = project["dependencies"]
    # With traces, which a cluster can switch on for all containers without a new image.
    served = [*serve, *extras["otel"]]
    write("requirements.txt", "Everything a server needs", served, leave_out=("setuptools",))
    write_image_locks(extras["gpu"])
    everything = [*serve, *(pin for name, extra in extras.items() if name not in APART for pin in extra)]
    write("requirements-dev.txt", "Everything: serving, training, signing, tests", everything)


def write(name: str, title: str, requirements: list[str], leave_out: tuple[str, ...] = ()) -> None:
    """Install the requirements in a new environment and freeze it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        freeze = [str(python), "-m", "pip", "freeze", "--all"]
        listing = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    kept = [pin(line) for line in listing if line.partition("==")[0] not in (*NOT_PINNED, *leave_out)]
    head = f"# {title}, with all dependencies. Written by `make lock` from pyproject.toml."
    (ROOT / name).write_text("\n".join([head, *kept]) + "\n")
    sys.stdout.write(f"{name}: {len(kept)} packages\n")


def write_image_locks(gpu: list[str]) -> None:
    """The versions of requirements.txt; for GPUs, with onnxruntime's other build and the CUDA libraries it needs."""
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    write_locked("requirements-cpu.txt", pins, ("x86_64", "aarch64"))
    others = [line for line in pins if not line.startswith("onnxruntime==")]
    write_locked("requirements-cuda.txt", [*others, *gpu], ("x86_64",))


def pin(line: str) -> str:
    """The line without its local version, which differs between torch's CPU and CUDA builds."""
    return line.partition("+")[0]


if __name__ == "__main__":
    main()
