"""The tiny real parts that every room's tests build on, made once a session."""

from __future__ import annotations

import gc
import io
import os
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
    tiny_split_bundle,
)
from tests.paths import ROOT
from tests.sharing import made_once
from tests.wheel import installed, installed_command, wheel  # noqa: F401 - fixtures, for every room

# One processor for each of a run's processes, in what they start too: they would wait for each other's threads, and a
# toy that is trained by one thread is the same model however the tests are run.
os.environ["OMP_NUM_THREADS"] = "1"

if TYPE_CHECKING:
    from trainer.run.run import Run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests start first; those that need the Docker engine share one process, and one image."""
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.xdist_group("docker"))
    items.sort(key=lambda item: not any(marker.kwargs.get("first") for marker in item.iter_markers("slow")))


def pytest_collection_finish() -> None:
    """Freeze what was imported, so that no garbage collection looks at it again; each training asks for several."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer BERT and its tokenizer."""
    home = made_once(tmp_path_factory, "backbone", lambda folder: tiny.make_backbone(folder / "tiny-bert"))
    return home / "tiny-bert"


@pytest.fixture(scope="session")
def quickstart_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished run of recipes/quickstart.yaml on the real base model; read it, never write into it."""
    from rich.console import Console

    from trainer.recipe.recipe import load_recipe
    from trainer.run.run import Run
    from trainer.train import train

    def make(folder: Path) -> None:
        train(load_recipe(ROOT / "recipes" / "quickstart.yaml"), folder / "run", console=Console(file=io.StringIO()))

    return Run.open(made_once(tmp_path_factory, "quickstart-run", make) / "run")


@pytest.fixture(scope="session")
def tiny_run(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on the toy data; read it, never write into it."""
    from rich.console import Console

    from trainer.recipe.recipe import load_recipe
    from trainer.run.run import Run
    from trainer.train import train

    def make(folder: Path) -> None:
        recipe = load_recipe(tiny.write_recipe(folder, tiny_backbone))
        train(recipe, folder / "run", console=Console(file=io.StringIO()))

    return Run.open(made_once(tmp_path_factory, "tiny-run", make) / "run")
