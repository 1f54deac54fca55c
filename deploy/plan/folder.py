"""Static files and a values file, written into a folder whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.plan.page import plan_page
from deploy.plan.plan import Plan
from deploy.plan.targets.base import DEPLOY
from serving.errors import InputError

NEVER = ("__pycache__", "*.pyc", ".terraform*", ".aws-sam", "*.tfstate*")


def require_empty(folder: Path) -> None:
    """Raise InputError for a path at which something is."""
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise InputError(
            f"--output {folder} is not empty; a plan is written into a new or an empty folder. "
            "Name another, or remove what is there",
            field="output",
        )


def write_plan(plan: Plan, output: Path) -> Path:
    """The target's files, the values, PLAN.md and the measurement; raises InputError if something is there.

    Returns the values file's path.
    """
    require_empty(output)
    target = plan.request.target
    name, text = target.values(plan.deployment)
    files = {name: text, "measurement.json": plan.measurement.to_json(), "PLAN.md": plan_page(plan, name)}
    write_folder(DEPLOY / target.folder, target.left_out, files, output)
    return output / name


def write_folder(source: Path, left_out: tuple[str, ...], files: Mapping[str, str], output: Path) -> None:
    """Copy ``source`` but ``left_out``, add ``files`` by their relative paths; raises OSError."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as staging:
        made = Path(staging) / "made"
        shutil.copytree(source, made, ignore=shutil.ignore_patterns(*NEVER, *left_out))
        for name, text in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        made.rename(output)  # onto an empty folder too, and never onto another
