"""The tiny real parts that every room's tests build on, made once a session."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import tiny
from tests.bundles import (  # noqa: F401 - fixtures, for every room
    task_bundle,
    task_run,
    tiny_bundle,
    tiny_dynamic_bundle,
    tiny_fallback_bundle,
    tiny_int8_bundle,
)

if TYPE_CHECKING:
    from trainer.run import Run


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer BERT and its tokenizer."""
    return tiny.make_backbone(tmp_path_factory.mktemp("backbone") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_run(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on the toy data; read it, never write into it."""
    from rich.console import Console

    from trainer.recipe import load_recipe
    from trainer.train import train

    folder = tmp_path_factory.mktemp("tiny-run")
    recipe = load_recipe(tiny.write_recipe(folder, tiny_backbone))
    return train(recipe, folder / "run", console=Console(file=io.StringIO()))
