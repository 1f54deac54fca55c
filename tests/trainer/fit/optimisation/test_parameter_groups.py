"""What each weight learns at, and by which optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Adafactor

from tests.trainer.fit.small_trainer import trainer_for


def test_learning_rates(tiny_backbone: Path, tmp_path: Path) -> None:
    """Backbone and head have their own rates; biases and layer norms do not decay."""
    trainer = trainer_for(tiny_backbone, tmp_path, learning_rate=1e-3, weight_decay=0.1)
    groups = trainer.create_optimizer().param_groups
    assert {(group["lr"], group["weight_decay"]) for group in groups} == {
        (1e-3, 0.1),
        (1e-3, 0.0),
        (0.025, 0.1),
        (0.025, 0.0),
    }
    shrinking = {id(weight) for group in groups if group["weight_decay"] for weight in group["params"]}
    named = dict(trainer.model.named_parameters())
    assert all(weight.ndim > 1 for name, weight in named.items() if id(weight) in shrinking)


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"optim": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
        ({"optim": "adamw"}, torch.optim.AdamW, {"betas": (0.9, 0.999), "eps": 1e-8}),
        (
            {"optim": "adamw", "adam_beta1": 0.8, "adam_beta2": 0.9, "adam_epsilon": 1e-6},
            torch.optim.AdamW,
            {"betas": (0.8, 0.9), "eps": 1e-6},
        ),
        ({"optim": "adafactor"}, Adafactor, {"scale_parameter": False, "relative_step": False}),
    ],
    ids=["sgd", "adamw", "adamw-options", "adafactor"],
)
def test_optimisers(tiny_backbone: Path, tmp_path: Path, settings: Any, kind: type, expected: dict[str, Any]) -> None:
    """The optimiser is the recipe's, each of its settings included, and the weights learn by it."""
    trainer = trainer_for(tiny_backbone, tmp_path, max_steps=2, load_best_model_at_end=False, **settings)
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    trainer.train()
    optimizer = trainer.optimizer.optimizer
    assert type(optimizer) is kind
    assert {name: optimizer.defaults[name] for name in expected} == expected
    after = list(trainer.model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_layerwise_decay(tiny_backbone: Path, tmp_path: Path) -> None:
    """Each layer learns at half the next one's rate, the embeddings least, the head at its own; and so they move."""
    trainer = trainer_for(
        tiny_backbone, tmp_path, learning_rate=1e-2, head_learning_rate=1e-3, layerwise_lr_decay=0.5, warmup_ratio=0.0,
        weight_decay=0.0, max_steps=1, max_grad_norm=1e6,
    )  # fmt: skip
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.log_history[0]["learning_rate"] == 1e-2
    moved = {
        name: float((weight.detach() - before[name]).abs().max()) for name, weight in trainer.model.named_parameters()
    }
    largest = {
        part: max(distance for name, distance in moved.items() if part in name)
        for part in ("embeddings.word", "layer.0.", "layer.1.", "classifier")
    }
    # Adam's first step is as long as the rate
    assert largest == pytest.approx(
        {"embeddings.word": 2.5e-3, "layer.0.": 5e-3, "layer.1.": 1e-2, "classifier": 1e-3}, rel=0.01
    )
