"""Makes the peers' environment ``.venv-peers``: ``python -m bench.peers.setup [PIP ARGUMENTS]``, or `make peers`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from deploy.measurement.process import ROOT

FOLDER = ROOT / ".venv-peers"
PYTHON = FOLDER / "bin" / "python"
READY = FOLDER / ".ready"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def missing() -> str:
    """Why the peers cannot be started; empty if they can."""
    if not READY.is_file():
        return "not installed; `make peers` makes .venv-peers"
    return "" if READY.read_bytes() == REQUIREMENTS.read_bytes() else ".venv-peers is outdated; run `make peers`"


def main(arguments: list[str]) -> None:
    READY.unlink(missing_ok=True)
    venv.create(FOLDER, with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *arguments, "-r", REQUIREMENTS], check=True)
    READY.write_bytes(REQUIREMENTS.read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
