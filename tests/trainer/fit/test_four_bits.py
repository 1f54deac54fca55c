"""A run whose frozen weights had 4 bits while it trained (QLoRA) is a run as any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.toys import write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from tests.trainer.model.four_bits.installed import needs_bitsandbytes
from trainer.fit import fine_tune
from trainer.model.checkpoint import load_checkpoint
from trainer.model.four_bits.backbone import is_quantised
from trainer.model.heads import Model, backbone_of
from trainer.model.trainable import merge_adapters
from trainer.recipe.recipe import load_recipe
from trainer.replay import replay
from trainer.run.lock import read_lock

IDS = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
OPTIONS: dict[str, Any] = {
    "trainable": "lora",
    "lora": {"r": 4, "load_in_4bit": True},
    "num_train_epochs": 2,
    "weight_averaging_epochs": 2,
}


def logits(model: Model) -> Tensor:
    """Of one short text."""
    with torch.no_grad():
        found: Tensor = model.eval()(**IDS)["logits"]
    return found


@needs_bitsandbytes
@pytest.mark.slow
def test_run(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped and resumed it ends with equal weights; they answer as the 4-bit model did; a replay repeats them."""
    trained: list[Tensor] = []

    def merge(model: Model) -> None:
        assert is_quantised(backbone_of(model))
        trained.append(logits(model))
        merge_adapters(model)

    monkeypatch.setattr(fine_tune, "merge_adapters", merge)
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", training=OPTIONS))
    whole = fit(recipe, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(whole.read_record()["history"][-1]["step"] - 2))
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole)

    assert len(trained) == 2
    assert torch.allclose(logits(load_checkpoint(whole.checkpoint).model), trained[0], rtol=1e-5, atol=1e-5)
    stored = [each for file in whole.checkpoint.glob("*.safetensors") for each in load_file(file).values()]
    assert {weight.dtype for weight in stored} == {torch.float32}

    lock = read_lock(whole)
    lora = {"r": 4, "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    assert lora.items() <= lock.recipe["training"]["lora"].items()
    assert "bitsandbytes" in lock.environment.versions
    assert replay(whole.root).equal
