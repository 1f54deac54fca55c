"""`tuneship new`: a project folder with data, a recipe and the workflows that ship it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy.plan.deployment import check_name
from serving import VERSION
from serving.errors import InputError, did_you_mean
from templates.own_wheel import NAME, write_wheel

TEMPLATES = Path(__file__).resolve().parent
TASKS = tuple(sorted(path.name for path in TEMPLATES.iterdir() if (path / "recipe.yaml").is_file()))


def create_project(folder: Path, task: str) -> Path | None:
    """Write a task's template into a new or an empty folder, whole or not at all; raises InputError.

    Returns Tuneship's wheel, which it puts there where it is installed from one.
    """
    if task not in TASKS:
        meant = did_you_mean(task, TASKS)
        raise InputError(f"--task {task!r} has no template; accepted are: {', '.join(TASKS)}{meant}", field="--task")
    check_name(folder.name, "NAME")  # the deployment's too
    _require_empty(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as staging:
        made = Path(staging) / folder.name
        for source in template_files(task):
            target = made / source.relative_to(TEMPLATES / task)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_fill_in(source.read_text(encoding="utf-8"), folder.name), encoding="utf-8")
        wheel = write_wheel(made / "wheels")
        made.rename(folder)  # onto an empty folder too, and never onto another
    return folder / wheel.relative_to(made) if wheel else None


def template_files(task: str) -> list[Path]:
    return sorted(path for path in (TEMPLATES / task).rglob("*") if path.is_file())


def _fill_in(text: str, name: str) -> str:
    return text.replace("@NAME@", name).replace("@VERSION@", VERSION).replace("@WHEEL@", NAME)


def _require_empty(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise InputError(f"{folder.parent}: there is no such folder; make it first", field="NAME")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise InputError(f"{folder} exists and is not an empty folder; choose another NAME", field="NAME")
