"""gradient_checkpointing: layers run a second time, for less memory and the same gradients."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from tests import tiny, tiny_generators
from tests.toys import write_toy
from trainer.fit.fine_tune import create_trainer
from trainer.fit.validation import encode_datasets
from trainer.model.heads import backbone_of
from trainer.model.layers import layers_of
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup


def first_step(folder: Path, backbone: Path, toy: str, **training: Any) -> tuple[int, dict[str, torch.Tensor]]:
    """How often a part of the first layer runs in the first step, and the step's gradients."""
    options = {"bf16": False, "max_steps": 1, "num_train_epochs": None, "warmup_ratio": 0.0, "max_grad_norm": 1e6}
    setup = prepare_setup(load_recipe(write_toy(folder, backbone, toy, training={**options, **training})), folder)
    datasets, _ = encode_datasets(setup, setup.to_record(folder), Console(file=io.StringIO()))
    trainer = create_trainer(setup, datasets, 0, folder / "state", [])
    calls: list[int] = []
    gradients: dict[str, torch.Tensor] = {}
    layer: nn.Module = layers_of(backbone_of(trainer.model))[0]
    innermost = next(module for module in layer.modules() if not list(module.children()))
    innermost.register_forward_pre_hook(lambda *_: calls.append(1) if trainer.model.training else None)
    learned = {name: weight for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    for name, weight in learned.items():
        weight.register_hook(lambda gradient, name=name: gradients.update({name: gradient.clone()}))
    trainer.train()
    return len(calls), gradients


@pytest.mark.slow
@pytest.mark.parametrize("training", [{}, {"trainable": "lora"}], ids=["all", "lora"])
@pytest.mark.parametrize(
    ("toy", "make"),
    [
        ("text-classification", tiny.make_backbone),
        ("text-generation", tiny_generators.make_gpt2),
        ("text2text-generation", tiny_generators.make_t5),
    ],
    ids=["bert", "gpt2", "t5"],
)
def test_layers_run_twice(tmp_path: Path, toy: str, make: Callable[[Path], Path], training: dict[str, Any]) -> None:
    """Of each family, with adapters too; dropout is drawn the same again."""
    found = []
    for checkpointing in (False, True):
        folder = tmp_path / str(checkpointing)
        folder.mkdir()
        found.append(first_step(folder, make(folder / "base"), toy, gradient_checkpointing=checkpointing, **training))
    (once, expected), (twice, gradients) = found
    assert (once, twice) == (1, 2)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        rounding = 1e-6 * max(1.0, float(gradient.abs().max()))  # those of T5's first layer are in the hundreds
        assert torch.allclose(gradients[name], gradient, atol=rounding), name
