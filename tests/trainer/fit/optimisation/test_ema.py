"""The exponential moving average: what it is, and when it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.trainer.conftest import MakeRecipe, fit


class Steps(TrainerCallback):  # type: ignore[misc]
    """Remembers the classifier at the beginning and after each step."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Remember it."""
        self.seen.append(model.classifier.weight.detach().clone())

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Remember it."""
        self.seen.append(model.classifier.weight.detach().clone())


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_average(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """Each step's weights count less than the next one's; validation chooses between them and the best ones."""
    during, after = {"accuracy": 0.5, "loss": 1.0}, {"accuracy": 1.0 if kept else 0.0, "loss": 1.0}
    monkeypatch.setattr(
        "trainer.fit.trainer.TaskTrainer.validate", lambda trainer: during if trainer.is_in_train else after
    )
    steps = Steps()
    run = fit(toy(training={"ema_decay": 0.8, "num_train_epochs": 2}), tmp_path / "run", steps)
    expected = steps.seen[0]
    for step, weights in enumerate(steps.seen[1:], 1):
        decay = min(0.8, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights
    found = load_file(run.checkpoint / "head.safetensors")["weight"]
    assert torch.allclose(found, expected if kept else steps.seen[len(steps.seen) // 2], atol=1e-6)
    record = run.read_record()
    assert (record["ema"]["kept"], record["ema"]["decay"], record["best_step"] is None) == (kept, 0.8, kept)
    assert ("not the exponential moving average" in run.report.read_text()) is not kept
    assert "the exponential moving average of the weights, decay 0.8 (validation accuracy" in run.report.read_text()
