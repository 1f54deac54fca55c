"""How much noise a training needs, and which ε its steps have spent."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.errors import InputError
from trainer.recipe.applicability import adds_noise
from trainer.recipe.privacy import Privacy
from trainer.recipe.recipe import Recipe
from trainer.recipe.training import EPOCHS, Training
from trainer.run.run import write_atomically

if TYPE_CHECKING:
    from opacus.accountants.accountant import IAccountant

DELTA_EXPONENT = 1.1
_FILE = "privacy.json"


@dataclass(frozen=True)
class Mechanism:
    """The subsampled Gaussian mechanism: every step takes each row with probability ``sample_rate``.

    The sum of the rows' gradients, each of at most ``max_grad_norm``, gets noise of the standard deviation
    ``noise_multiplier * max_grad_norm``.
    """

    rows: int
    sample_rate: float
    steps: int
    delta: float
    noise_multiplier: float
    max_grad_norm: float
    accountant: str

    @property
    def steps_an_epoch(self) -> int:
        return steps_an_epoch(self.rows, self.rows_a_step)

    @property
    def rows_a_step(self) -> float:
        """On average."""
        return self.sample_rate * self.rows


def plan_mechanism(privacy: Privacy, training: Training, rows: int) -> Mechanism:
    """For a training on so many rows; raises InputError."""
    expected = min(training.per_device_train_batch_size * training.gradient_accumulation_steps, rows)
    epochs = training.num_train_epochs or EPOCHS
    steps = training.max_steps or epochs * steps_an_epoch(rows, expected)
    delta = _choose_delta(privacy, rows)
    rate = expected / rows
    noise, target = privacy.noise_multiplier, privacy.target_epsilon
    if noise is None:
        noise = _find_noise(target or 0.0, delta, rate, steps, privacy.accountant)
    return Mechanism(rows, rate, steps, delta, noise, privacy.max_grad_norm, privacy.accountant)


def steps_an_epoch(rows: int, rows_a_step: float) -> int:
    return max(1, -(-rows // max(1, round(rows_a_step))))


def _choose_delta(privacy: Privacy, rows: int) -> float:
    """δ bounds the probability that a row is not protected at all: 1 / rows would allow to publish one of them."""
    delta = privacy.target_delta or rows**-DELTA_EXPONENT
    if delta * rows >= 1:
        raise InputError(
            f"privacy.target_delta: {delta:g} would allow one of the {rows:,} training rows to be published; give less"
            f" than {1 / rows:.1g}, or leave it out",
            field="privacy.target_delta",
        )
    return delta


@cache
def _find_noise(epsilon: float, delta: float, rate: float, steps: int, accountant: str) -> float:
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with _quiet():
            return float(
                get_noise_multiplier(
                    target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant=accountant,
                    epsilon_tolerance=epsilon / 200,
                )
            )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"privacy.target_epsilon: {epsilon:g} cannot be had in {steps:,} steps at δ = {delta:.2g}"
            f" ({str(error).splitlines()[0]}); give more, or fewer steps",
            field="privacy.target_epsilon",
        ) from error


class Ledger:
    """What the steps have spent."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self._accountant = _create_accountant(mechanism.accountant)

    @property
    def steps(self) -> int:
        return sum(steps for _, _, steps in self._accountant.history)

    def count_step(self) -> None:
        mechanism = self.mechanism
        self._accountant.step(noise_multiplier=mechanism.noise_multiplier, sample_rate=mechanism.sample_rate)

    def epsilon(self) -> float:
        """An upper bound, at the mechanism's δ; 0 before the first step."""
        if not self.steps:
            return 0.0
        with _quiet():
            return float(self._accountant.get_epsilon(delta=self.mechanism.delta))

    def save(self, folder: Path) -> None:
        """Beside a state of the training."""
        write_atomically(folder / _FILE, json.dumps(self._accountant.history) + "\n")

    def load(self, folder: Path) -> None:
        self._accountant.history = [tuple(each) for each in json.loads((folder / _FILE).read_text(encoding="utf-8"))]

    def to_record(self) -> dict[str, Any]:
        mechanism = self.mechanism
        return {
            "epsilon": self.epsilon(),
            "delta": mechanism.delta,
            "noise_multiplier": mechanism.noise_multiplier,
            "max_grad_norm": mechanism.max_grad_norm,
            "sample_rate": mechanism.sample_rate,
            "steps": self.steps,
            "rows": mechanism.rows,
            "accountant": mechanism.accountant,
        }


def _create_accountant(name: str) -> IAccountant:
    from opacus.accountants import create_accountant

    accountant: IAccountant = create_accountant(mechanism=name)
    return accountant


def _quiet() -> warnings.catch_warnings[None]:
    """Opacus warns of rounding in orders that it then does not use."""
    return warnings.catch_warnings(action="ignore")


def require_opacus(recipe: Recipe) -> None:
    """Raise InputError where the recipe needs it and it is not installed."""
    if not adds_noise(recipe):
        return
    try:
        import opacus  # noqa: F401
    except ImportError as error:
        raise InputError(
            "privacy: needs Opacus, which is not installed; pip install 'tuneship[privacy]'", field="privacy"
        ) from error
