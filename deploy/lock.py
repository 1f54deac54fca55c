"""`make lock`: resolve pyproject.toml in clean environments and write down every version.

requirements.txt is what a server installs (image, Bento, Lambda); requirements-dev.txt adds training and tests.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_PINNED = ("pip", "tuneship")


def main() -> None:
    """Write both files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    serve = project["dependencies"]
    # Traces too: whoever sets an endpoint for all containers of a cluster builds no image for it.
    served = [*serve, *extras["otel"]]
    write("requirements.txt", "Everything a server needs", served, leave_out=("setuptools",))
    everything = [*serve, *(pin for extra in extras.values() for pin in extra)]
    write("requirements-dev.txt", "Everything: serving, training, signing, tests", everything)


def write(name: str, title: str, requirements: list[str], leave_out: tuple[str, ...] = ()) -> None:
    """Install the requirements into a fresh environment and freeze it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        freeze = [python, "-m", "pip", "freeze", "--all"]
        listing = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    kept = [pin(line) for line in listing if line.partition("==")[0] not in (*NOT_PINNED, *leave_out)]
    head = f"# {title}, with all that those packages need. Written by `make lock` from pyproject.toml."
    (ROOT / name).write_text("\n".join([head, *kept]) + "\n")
    sys.stdout.write(f"{name}: {len(kept)} packages\n")


def pin(line: str) -> str:
    """A frozen line without its local part: torch's CPU and CUDA builds are one version."""
    return line.partition("+")[0]


if __name__ == "__main__":
    main()
