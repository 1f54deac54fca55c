"""What the files of sentence-transformers say about a folder's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.model.heads import Pooling
from trainer.model.model_folder import read_any_json

MODES: dict[str, Pooling] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "last",
}
PARTS = ("Transformer", "Pooling", "Normalize")
"""A scaled vector has the same cosines."""


def read_pooling(folder: Path) -> tuple[Pooling | None, str]:
    """The pooling, None where the files name none that is supported, and what they name that is not."""
    modes, parts = (
        _modes(read_any_json(folder / "1_Pooling" / "config.json")),
        _parts(read_any_json(folder / "modules.json")),
    )
    unknown = [f"pooling {mode!r}" for mode in modes if mode not in MODES] + [f"a {part} module" for part in parts]
    if len(modes) > 1:
        unknown = unknown or [f"pooling by {' and '.join(modes)} together"]
    return next((MODES[mode] for mode in modes if mode in MODES), None), ", ".join(unknown)


def _modes(config: Any) -> list[str]:
    if not isinstance(config, dict):
        return []
    if named := config.get("pooling_mode"):
        return list(map(str, named)) if isinstance(named, list) else [str(named)]
    prefix = "pooling_mode_"
    return [name.removeprefix(prefix) for name, value in config.items() if name.startswith(prefix) and value is True]


def _parts(modules: Any) -> list[str]:
    types = (
        [str(each.get("type", "")) for each in modules if isinstance(each, dict)] if isinstance(modules, list) else []
    )
    names = [name.rpartition(".")[2] for name in types]
    return [name for name in names if name not in PARTS]
