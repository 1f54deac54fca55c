"""Adapters: what of them learns, and that merging them changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests import tiny, tiny_generators
from tests.toys import write_toy
from trainer.model.checkpoint import build_model
from trainer.model.trainable import choose_weights, merge_adapters
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup


@pytest.mark.parametrize("use_dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize(
    ("toy", "make"),
    [
        ("text-classification", tiny.make_backbone),
        ("text-generation", tiny_generators.make_gpt2),
        ("text2text-generation", tiny_generators.make_t5),
    ],
    ids=["bert", "gpt2", "t5"],
)
def test_merged_adapters(tmp_path: Path, toy: str, make: Callable[[Path], Path], use_dora: bool) -> None:
    """After a step of learning the merged weights answer as the adapters do; DoRA learns the lengths too."""
    training = {"trainable": "lora", "lora": {"r": 2, "use_dora": use_dora}}
    setup = prepare_setup(load_recipe(write_toy(tmp_path, make(tmp_path / "base"), toy, training=training)), tmp_path)
    model = build_model(setup.base, setup.model_spec, setup.splits.labels).eval()
    plain = set(model.state_dict())
    choose_weights(model, setup.recipe.training)
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    inputs |= {"labels": torch.tensor([[7, 8]])} if toy == "text2text-generation" else {}
    learned = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in learned.items()}
    first = model(**inputs)["logits"]
    optimizer = torch.optim.SGD(learned.values(), lr=0.5)
    for _ in range(2):  # the first step moves one of an adapter's two matrices alone
        optimizer.zero_grad()
        model(**inputs)["logits"].pow(2).mean().backward()
        optimizer.step()
    adapted = model(**inputs)["logits"]
    assert not torch.allclose(first, adapted, atol=1e-3)
    lengths = [name for name in learned if "magnitude" in name]
    assert any(not torch.equal(learned[name], before[name]) for name in lengths) is use_dora
    merge_adapters(model)
    assert set(model.state_dict()) == plain
    assert torch.allclose(model(**inputs)["logits"], adapted, atol=1e-5)
