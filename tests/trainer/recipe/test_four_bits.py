"""Options of weights of 4 bits (QLoRA): what they take, what a saved recipe shows, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from trainer.recipe.defaults import with_defaults
from trainer.recipe.recipe import Recipe, create_recipe


def recipe(lora: dict[str, Any], trainable: str = "lora", privacy: Any = None, **training: Any) -> Recipe:
    """A recipe whose files need not exist."""
    mapping = {
        "task": "text-classification",
        "data": {"train": "rows.csv", "test": 0.2},
        "training": {"trainable": trainable, "lora": lora, **training},
        **({"privacy": privacy} if privacy else {}),
    }
    return create_recipe(mapping, Path("/nowhere"), "recipe.yaml")


@pytest.mark.parametrize(
    ("lora", "more", "message"),
    [
        ({"bnb_4bit_quant_type": "nf4"}, {}, "training.lora.bnb_4bit_quant_type: without training.lora.load_in_4bit"),
        ({"bnb_4bit_use_double_quant": False}, {}, "training.lora.bnb_4bit_use_double_quant: without"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "int4"}, {}, "training.lora: .int4. is not accepted"),
        ({"load_in_4bit": True}, {"trainable": "all"}, "training.lora: belongs to training.trainable: lora"),
        ({"load_in_4bit": True}, {"fsdp": True}, "training.fsdp: divides no weights of 4 bits"),
        ({"load_in_4bit": True}, {"privacy": {"target_epsilon": 3.0}}, "training.lora.load_in_4bit: rows' gradients"),
    ],
)
def test_refused(lora: dict[str, Any], more: dict[str, Any], message: str) -> None:
    """What would do nothing, or cannot be done, is refused with its reason."""
    with pytest.raises(InputError, match=message):
        recipe(lora, **more)


def test_attack_beside_four_bits() -> None:
    """A section privacy without noise only looks at the trained model."""
    assert recipe({"load_in_4bit": True}, privacy={"membership_inference": True}).training.in_4bit


@pytest.mark.parametrize(
    ("lora", "shown"),
    [
        ({"r": 4}, {}),
        ({"load_in_4bit": True}, {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}),
        (
            {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False},
            {"bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False},
        ),
    ],
)
def test_shown_defaults(lora: dict[str, Any], shown: dict[str, Any]) -> None:
    """A resolved recipe has what acts, and can be read again."""
    saved = with_defaults(recipe(lora)).to_mapping()["training"]["lora"]
    assert {name: value for name, value in saved.items() if name.startswith("bnb_4bit")} == shown
    assert with_defaults(recipe(saved)).to_mapping()["training"]["lora"] == saved
