"""docs/pictures/first-hour.svg: the first hour with Tuneship, recorded by typing its commands.

    python -m docsite.pictures.first_hour [SCRIPT]

The commands are those of first_hour.sh. They run in an empty folder beside a copy of the quickstart's rows; what they
print is kept as it was, and what they take is in the recording's header.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docsite.pages import ROOT
from docsite.pictures.recorder import read_commands, record

SCRIPT = Path(__file__).with_name("first_hour.sh")
ROWS = ROOT / "recipes" / "quickstart" / "messages.csv"
PICTURE = ROOT / "docs" / "pictures" / "first-hour.svg"
TITLE = "The first hour with Tuneship: a recipe from a file, training, proof, server"
SECONDS = 600.0
"""That a command may take."""


def record_first_hour(script: Path, picture: Path) -> None:
    """Writes ``picture``, and the asciicast beside it; raises RecordingError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(ROWS, folder / "messages.csv")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TUNESHIP_DRAIN_SECONDS": "0"}
        recording = record(read_commands(script), folder, environment, SECONDS)
    cast = picture.with_suffix(".cast")
    cast.write_text(recording.to_asciicast(TITLE), encoding="utf-8")
    python = ROOT / ".venv-site" / "bin" / "python"
    subprocess.run([python, "-m", "docsite.pictures.animation", cast, picture], cwd=ROOT, check=True)


if __name__ == "__main__":
    record_first_hour(Path(sys.argv[1]) if len(sys.argv) > 1 else SCRIPT, PICTURE)
