"""The section privacy: what it takes, and what would make its ε untrue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe
from trainer.recipe.applicability import adds_noise
from trainer.recipe.recipe import Recipe, create_recipe

PRIVATE = {"target_epsilon": 3.0}


def recipe(task: str = "text-classification", **sections: Any) -> Recipe:
    """A recipe whose files need not exist."""
    mapping = {"task": task, "data": {"train": "rows.csv", "test": 0.2}, **json.loads(json.dumps(sections))}
    return create_recipe(mapping, Path("/nowhere"), "recipe.yaml")


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"few_shot": {"examples_per_label": 5}}, "few_shot"),
        ({"distil": {"teacher": "run"}}, "distil"),
        ({"data": {"train": "rows.csv", "test": 0.2, "folds": 5}}, "data.folds"),
        ({"data": {"train": "rows.csv", "test": 0.2, "long_text": "windows"}}, "data.long_text: windows"),
        ({"model_head": {"class_weights": "balanced"}}, "model_head.class_weights"),
        ({"training": {"probe_examples_per_label": 5}}, "training.probe_examples_per_label"),
        ({"training": {"weight_soup_runs": 3}}, "training.weight_soup_runs"),
        ({"training": {"bf16": True}}, "training.bf16"),
        ({"training": {"torch_compile": True}}, "training.torch_compile"),
        ({"training": {"gradient_checkpointing": True}}, "training.gradient_checkpointing"),
        ({"training": {"gradual_unfreezing": 1}}, "training.gradual_unfreezing"),
        ({"training": {"max_grad_norm": 2.0}}, "training.max_grad_norm"),
        ({"task": "feature-extraction", "data": {"train": "r.csv", "test": 0.2, "text_pair": "b"}}, "cosent"),
        (
            {
                "task": "feature-extraction",
                "model_head": {"loss": "multiple-negatives-ranking"},
                "data": {"train": "r.csv", "test": 0.2, "text_pair": "b"},
            },
            "multiple-negatives-ranking",
        ),
        (
            {
                "task": "regression",
                "model_head": {"loss": "binary-cross-entropy"},
                "data": {"train": "r.csv", "test": 0.2, "text_pair": "b"},
            },
            "binary-cross-entropy",
        ),
    ],
)
def test_untrue_guarantees(sections: dict[str, Any], named: str) -> None:
    """What reads training rows without noise, or cannot be computed row by row, is refused with its reason."""
    task = sections.pop("task", "text-classification")
    assert recipe(task, **{**sections, **({"model_head": {"loss": "cosine"}} if named == "cosent" else {})})
    with pytest.raises(InputError, match=named):
        recipe(task, **sections, privacy=PRIVATE)


def test_several_reasons_at_once() -> None:
    """One message names all of them."""
    with pytest.raises(InputError, match=r"bf16.*torch_compile|torch_compile.*bf16"):
        recipe(training={"bf16": True, "torch_compile": True}, privacy=PRIVATE)


def test_given_class_weights() -> None:
    """Weights that the recipe gives depend on no row."""
    assert adds_noise(recipe(model_head={"class_weights": {"a": 2.0}}, privacy=PRIVATE))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"target_epsilon": 3.0, "noise_multiplier": 1.0}, "leave one out"),
        ({"membership_inference": False}, "does nothing"),
        ({"max_grad_norm": 0.5}, "privacy.max_grad_norm: belongs to"),
        ({"target_delta": 1.0e-6}, "privacy.target_delta: belongs to"),
        ({"accountant": "rdp"}, "privacy.accountant: belongs to"),
        ({"target_epsilon": 0.0}, "target_epsilon"),
        ({"target_epsilon": 3.0, "target_delta": 1.0}, "target_delta"),
    ],
)
def test_impossible_sections(section: dict[str, Any], message: str) -> None:
    """One way to say how much noise; no option that does nothing."""
    with pytest.raises(InputError, match=message):
        recipe(privacy=section)


def test_attack_alone(toy: MakeRecipe) -> None:
    """A section without ε attacks the model, and trains it as ever."""
    attacked = recipe(privacy={"membership_inference": True}, training={"bf16": True})
    assert not adds_noise(attacked)
    assert attacked.to_mapping()["privacy"] == {"membership_inference": True}


def test_shown_defaults() -> None:
    """A saved recipe has what acts."""
    saved = recipe(privacy=PRIVATE).to_mapping()
    assert saved["privacy"] == {
        "target_epsilon": 3.0, "max_grad_norm": 1.0, "accountant": "prv", "membership_inference": True,
    }  # fmt: skip
    assert "max_grad_norm" not in saved["training"]
