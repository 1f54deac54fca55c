"""A copy of the project, for the tests that run its commands as a user does and write where a user would."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.paths import ROOT

MADE = {".git", "runs", "bundles", "bundle", "build", "dist"}
"""What commands make at the top of a checkout, besides environments, whose names begin with ``.venv``.

Folders of these names further down are the project's own.
"""


def copy_of_the_project(folder: Path) -> Path:
    """The copy, ``folder/tuneship``, with the environment of this checkout."""
    checkout = Path(shutil.copytree(ROOT, folder / "tuneship", ignore=_made_by_commands))
    (checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return checkout


def _made_by_commands(folder: str, names: list[str]) -> set[str]:
    caches = {name for name in names if name == "__pycache__" or name.endswith(("_cache", ".egg-info"))}
    made = {name for name in names if name in MADE or name.startswith(".venv")}
    return caches | (made if Path(folder) == ROOT else set())
