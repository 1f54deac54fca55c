"""What a shell offers for an argument after TAB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Complete = Callable[[str], list[str]]

MOST = 200


def names(*accepted: str) -> Complete:
    """Fixed names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in accepted if name.startswith(incomplete)]

    return complete


def recipes(incomplete: str) -> list[str]:
    """YAML files of the folder that is being typed, and of the folders in it."""
    prefix = incomplete.rpartition("/")[0]
    folder = Path(f"{prefix}/" if prefix or incomplete.startswith("/") else ".")
    found = sorted(path for pattern in ("*.yaml", "*/*.yaml") for path in folder.glob(pattern) if path.is_file())
    shown = [path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)]
    return [path for path in shown if path.startswith(incomplete)][:MOST]


def recipe_keys(incomplete: str) -> list[str]:
    """Such as training.learning_rate."""
    from trainer.recipe.reference import recipe_keys as known

    return [key for key in known() if key.startswith(incomplete)]


def tasks(incomplete: str) -> list[str]:
    from serving.tasks import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def deployments(incomplete: str) -> list[str]:
    """Targets of `tuneship deploy plan`."""
    from deploy.plan.targets import TARGETS

    return [name for name in TARGETS if name.startswith(incomplete)]
