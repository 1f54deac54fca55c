"""The section that trains with differential privacy, and what may not stand beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainer.recipe.applicability import LOSS_NAMES, Recipe, adds_noise, compares_rows, value_of
from trainer.recipe.section import Fraction, Section

_WITHOUT_NOISE = "reads the training rows without noise"

_NEVER = {
    "few_shot": "classifies by the training rows themselves",
    "imported": "nothing was trained here",
}
_NOT_BESIDE_NOISE = {
    "distil": "the teachers answer the training rows without noise",
    "data.folds": "trains further models on the same rows, which ε does not count",
    "training.probe_examples_per_label": _WITHOUT_NOISE,
    "training.weight_soup_runs": "ε counts one training",
    "training.bf16": "a row's gradient cannot be clipped exactly in bfloat16",
    "training.torch_compile": "compiled steps give no gradients of single rows",
    "training.gradient_checkpointing": "backward would compute a layer twice, and its rows' gradients with it",
    "model_head.head": "gradients of single rows are known of Tuneship's own layers",
    "training.gradual_unfreezing": "every step of a private training learns the same weights",
}
"""Why an option makes the stated ε untrue, or cannot be computed row by row."""


class Privacy(Section):
    """Differentially private training (DP-SGD, Abadi et al. 2016) by Opacus, and attacks on the trained model."""

    target_epsilon: float | None = Field(
        default=None, gt=0, le=100, description="train with so much noise that ε is at most this after all steps"
    )
    noise_multiplier: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="in place of target_epsilon: the noise's standard deviation, divided by max_grad_norm",
    )
    target_delta: Fraction | None = Field(
        default=None, description="δ, less than 1 / training rows; null: 1 / (training rows)^1.1"
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, le=1e6, description="the gradient of each single row is clipped to this norm"
    )
    accountant: Literal["prv", "rdp"] = Field(
        default="prv", description="computes ε: prv is tight (Gopi et al. 2021), rdp is an older, looser bound"
    )
    membership_inference: bool = Field(
        default=True, description="attack the trained model: can training rows be told from others?"
    )

    @model_validator(mode="after")
    def _check_consistency(self) -> Privacy:
        if self.target_epsilon and self.noise_multiplier:
            raise ValueError("privacy.noise_multiplier: follows from privacy.target_epsilon; leave one out")
        if not self.adds_noise and not self.membership_inference:
            raise ValueError("privacy: does nothing; give target_epsilon, or leave the section out")
        return self

    @property
    def adds_noise(self) -> bool:
        """Whether the training is differentially private."""
        return bool(self.target_epsilon or self.noise_multiplier)


def check_privacy(recipe: Recipe) -> None:
    """Raise ValueError for what cannot stand beside the section."""
    if value_of(recipe, "privacy") is None:
        return
    options = _NEVER | (_NOT_BESIDE_NOISE if adds_noise(recipe) else {})
    problems = [f"{option}: {why}" for option, why in options.items() if value_of(recipe, option)]
    if adds_noise(recipe) and recipe.model_head.class_weights == "balanced":
        problems.append(f"model_head.class_weights: balanced: {_WITHOUT_NOISE}; give the weights themselves")
    if adds_noise(recipe) and recipe.data.long_text == "windows":
        problems.append("data.long_text: windows: rows' gradients are computed of one window each; truncate them")
    if adds_noise(recipe) and recipe.training.in_4bit:
        problems.append("training.lora.load_in_4bit: rows' gradients were not tested with weights of 4 bits")
    if compares_rows(recipe):
        other = "; give cosine" if recipe.task == "feature-extraction" else "; give pairs with scores"
        problems.append(f"model_head.loss: {recipe.loss}: compares rows, so that none has a loss of its own{other}")
    if adds_noise(recipe) and recipe.loss not in LOSS_NAMES:
        problems.append(f"model_head.loss: {recipe.loss}: nothing holds a loss of your own to single rows")
    if problems:
        raise ValueError(f"privacy: cannot stand beside {'; '.join(problems)}")
