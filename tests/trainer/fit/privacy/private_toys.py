"""Private trainers over toys, before their first step."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tests.toys import write_toy
from trainer.fit.fine_tune import create_trainer
from trainer.fit.privacy.private_trainer import PrivateTrainer
from trainer.fit.validation import encode_datasets
from trainer.model.quiet import quiet_transformers
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup

NOISE: dict[str, Any] = {"noise_multiplier": 1.0, "target_delta": 1e-4, "membership_inference": False}


def private_trainer(folder: Path, base: Path, toy: str, **sections: Any) -> PrivateTrainer:
    """Of a toy, with these sections of its recipe."""
    folder.mkdir(exist_ok=True)
    head = {"model_head": {"loss": "cosine"}} if toy == "feature-extraction" else {}
    recipe = load_recipe(write_toy(folder, base, toy, **{"privacy": NOISE, **head, **sections}))
    setup = prepare_setup(recipe, folder / "run")
    with quiet_transformers():
        datasets, _ = encode_datasets(setup, setup.to_record(folder / "run"), Console(file=io.StringIO()))
        trainer = create_trainer(setup, datasets, 0, folder / "state", [])
    assert isinstance(trainer, PrivateTrainer)
    trainer.create_optimizer()
    return trainer


class Silent(np.random.Generator):
    """Noise of zeros, and batches as ever."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """None at all."""
        return np.zeros(size, dtype)
