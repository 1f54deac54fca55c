"""ε is an upper bound of what the steps spend, and the noise is enough for the one that is asked for."""

from __future__ import annotations

import sys
from math import exp
from pathlib import Path
from typing import Literal

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from serving.errors import InputError
from trainer.fit.privacy.accounting import Ledger, Mechanism, plan_mechanism, require_opacus
from trainer.recipe.privacy import Privacy
from trainer.recipe.recipe import Recipe
from trainer.recipe.training import Training

STEPS = Training(num_train_epochs=2, per_device_train_batch_size=32, gradient_accumulation_steps=2)


def spend(mechanism: Mechanism, steps: int) -> Ledger:
    """A ledger after so many steps."""
    ledger = Ledger(mechanism)
    for _ in range(steps):
        ledger.count_step()
    return ledger


@pytest.mark.parametrize("accountant", [pytest.param("prv", marks=pytest.mark.slow), "rdp"])
def test_asked_epsilon(accountant: Literal["prv", "rdp"]) -> None:
    """All planned steps together spend no more than the target, and not much less."""
    mechanism = plan_mechanism(Privacy(target_epsilon=4.0, accountant=accountant), STEPS, 1000)
    assert mechanism.steps == 32
    assert mechanism.rows_a_step == pytest.approx(64)
    assert 3.9 < spend(mechanism, mechanism.steps).epsilon() <= 4.0


def test_one_step_without_sampling() -> None:
    """It is the Gaussian mechanism, whose exact ε is known (Balle and Wang 2018, theorem 8)."""

    def delta(epsilon: float, sigma: float) -> float:
        left, right = 1 / (2 * sigma), epsilon * sigma
        return float(norm.cdf(left - right) - exp(epsilon) * norm.cdf(-left - right))

    mechanism = plan_mechanism(Privacy(noise_multiplier=1.5, target_delta=1e-5), Training(max_steps=1), 20)
    exact = brentq(lambda epsilon: delta(epsilon, 1.5) - 1e-5, 0.01, 50)
    assert mechanism.sample_rate == 1
    assert exact <= spend(mechanism, 1).epsilon() <= exact + 0.03


@pytest.mark.slow
def test_fewer_steps_spend_less() -> None:
    """A training that stops early has spent what its steps have."""
    mechanism = plan_mechanism(Privacy(noise_multiplier=1.0), STEPS, 1000)
    assert 0 == Ledger(mechanism).epsilon() < spend(mechanism, 3).epsilon() < spend(mechanism, 30).epsilon()


def test_rows_beside_delta() -> None:
    """δ is below one by the number of rows, and a larger one is refused."""
    assert plan_mechanism(Privacy(noise_multiplier=1.0), STEPS, 1000).delta == pytest.approx(1000**-1.1)
    with pytest.raises(InputError, match=r"privacy.target_delta: 0.001 would allow one of the 1,000"):
        plan_mechanism(Privacy(noise_multiplier=1.0, target_delta=0.001), STEPS, 1000)


def test_impossible_epsilon() -> None:
    """An ε that no noise gives is refused with what to do."""
    with pytest.raises(InputError, match=r"privacy.target_epsilon: 1e-07 cannot be had in 32 steps.*give more"):
        plan_mechanism(Privacy(target_epsilon=1e-7, accountant="rdp"), STEPS, 1000)


@pytest.mark.slow
def test_saved_ledger(tmp_path: Path) -> None:
    """What is spent is saved beside a state, and goes on from there."""
    mechanism = plan_mechanism(Privacy(noise_multiplier=1.0), STEPS, 1000)
    spend(mechanism, 5).save(tmp_path)
    resumed = Ledger(mechanism)
    resumed.load(tmp_path)
    resumed.count_step()
    assert resumed.steps == 6
    assert resumed.to_record() == spend(mechanism, 6).to_record()


def test_without_opacus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that needs it says what to install; one that only attacks does not need it."""
    data = {"task": "text-classification", "data": {"train": "a.csv", "test": 0.2}}
    monkeypatch.setitem(sys.modules, "opacus", None)
    require_opacus(Recipe.model_validate(data | {"privacy": {}}))
    with pytest.raises(InputError, match=r"pip install 'tuneship\[privacy\]'"):
        require_opacus(Recipe.model_validate(data | {"privacy": {"target_epsilon": 3.0}}))
