"""A step of a private training: what a single row can change, and the noise beside it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from serving.errors import InputError
from tests.trainer.fit.privacy.private_toys import NOISE, Silent, private_trainer
from trainer.fit.privacy.private_trainer import PrivateTrainer, _require_one_process
from trainer.fit.privacy.rows import collate_rows
from trainer.fit.trainer import TrainingDiverged
from trainer.model.heads import output_layer


def flat(trainer: PrivateTrainer) -> Tensor:
    """The gradient that the optimiser sees, times the mean number of rows of a step: a sum over rows."""
    together = torch.cat([weight.grad.flatten() for weight in trainer.gradients.weights])  # type: ignore[union-attr]
    return together * trainer.ledger.mechanism.rows_a_step


def step(trainer: PrivateTrainer, *parts: list[int], noise: Any = None) -> Tensor:
    """The sum after a step on these rows; without noise, unless some is given."""
    torch.manual_seed(0)
    trainer.noise._random = noise or Silent()
    trainer.training_step(trainer.model, [collate(trainer, part) for part in parts])
    return flat(trainer)


def collate(trainer: PrivateTrainer, places: list[int]) -> dict[str, Tensor]:
    """A part of a batch."""
    return collate_rows([trainer.rows[at] for at in places], trainer.data_collator)


@pytest.fixture
def trainer(tiny_backbone: Path, tmp_path: Path) -> PrivateTrainer:
    """Of a text classifier whose backbone stays, so that no dropout hides what a row does; rows are clipped to 0.1."""
    training = {"trainable": "classifier"}
    made = private_trainer(
        tmp_path / "toy",
        tiny_backbone,
        "text-classification",
        training=training,
        privacy={**NOISE, "max_grad_norm": 0.1},
    )
    made.model.dropout.p = 0.0
    return made


def test_influence_of_a_row(trainer: PrivateTrainer) -> None:
    """With it or without it, the sum differs by no more than the norm to which a row is clipped."""
    everybody = list(range(12))
    whole = step(trainer, everybody)
    changes = [float((whole - step(trainer, [at for at in everybody if at != row])).norm()) for row in everybody]
    assert max(changes) <= 0.1 + 1e-6
    assert min(changes) > 0.09, "without clipping they would be larger"


def test_parts_of_a_batch(trainer: PrivateTrainer) -> None:
    """A batch that is computed in parts has the gradient of the whole, divided by what a step has on average."""
    torch.testing.assert_close(step(trainer, [0, 1, 2], [3, 4]), step(trainer, [0, 1, 2, 3, 4]))


def test_empty_batch(trainer: PrivateTrainer) -> None:
    """It is a step with noise alone."""
    assert not step(trainer).any()
    assert step(trainer, noise=np.random.default_rng(3)).any()


def test_size_of_the_noise(trainer: PrivateTrainer) -> None:
    """It has the standard deviation that ε was computed for: the multiplier times the norm of a row."""
    generator = np.random.default_rng(3)
    noise = torch.cat([step(trainer, noise=generator) for _ in range(40)])
    assert float(noise.std()) == pytest.approx(1.0 * 0.1, rel=0.03)
    assert abs(float(noise.mean())) < 0.1 * 4 / len(noise) ** 0.5


def test_noise_that_nobody_repeats(tiny_backbone: Path, tmp_path: Path) -> None:
    """Two trainers of one recipe and seed have the same first weights, and noise without any correlation."""
    two = [private_trainer(tmp_path / name, tiny_backbone, "text-classification") for name in "ab"]
    assert torch.equal(two[0].gradients.weights[0], two[1].gradients.weights[0])
    noise = torch.stack([step(each, noise=each.random) for each in two])
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 6 / noise.shape[1] ** 0.5, "six standard deviations"


def test_batches_of_the_loader(trainer: PrivateTrainer) -> None:
    """Trainer's loop takes a batch in parts, and counts no labels, by which it would divide the loss."""
    loader = trainer.get_train_dataloader()
    batches, count = trainer.get_batch_samples(iter(loader), 1, trainer.args.device)
    assert len(batches) == 1
    assert isinstance(batches[0], list)
    assert count is None


@pytest.mark.slow
def test_counted_steps(trainer: PrivateTrainer) -> None:
    """Each is counted, an empty one too."""
    step(trainer, [0]), step(trainer)
    assert trainer.ledger.steps == 2
    assert trainer.to_record()["privacy"]["steps"] == 2


def test_infinite_losses(trainer: PrivateTrainer) -> None:
    """One row of them would be all of the gradient: the training ends, and says where."""
    with torch.no_grad():
        trainer.model.classifier.weight.fill_(float("inf"))
    with pytest.raises(TrainingDiverged, match=r"at step 1; lower training\.learning_rate"):
        step(trainer, [0])


def test_rows_at_once(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than fit into memory with a gradient each."""
    monkeypatch.setattr("trainer.fit.privacy.private_trainer.MOST_FLOATS", 100_000)
    trainer = private_trainer(tmp_path / "toy", tiny_backbone, "text-classification")
    trained = sum(weight.numel() for weight in trainer.gradients.weights)
    assert 1 <= trainer.rows_at_once < 8
    assert trainer.rows_at_once * trained <= 100_000


def test_no_counts_in_the_first_bias(tiny_backbone: Path, tmp_path: Path) -> None:
    """It begins at zero, where other trainings begin with how frequent each label is."""
    trainer = private_trainer(tmp_path / "toy", tiny_backbone, "multi-label-classification")
    layer = output_layer(trainer.model)
    assert layer is not None
    assert not layer.bias.any()


def test_no_means_of_training_rows(tiny_backbone: Path, tmp_path: Path) -> None:
    """Numbers are standardised by the validation rows."""
    datasets = private_trainer(tmp_path / "toy", tiny_backbone, "regression").datasets
    settings: Any = datasets.task.settings
    assert settings.mean == pytest.approx(np.mean(datasets.validation_rows.targets))


def test_several_processes() -> None:
    """They are refused: each would add its own noise, and clip its own rows."""
    _require_one_process(SimpleNamespace(world_size=1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="privacy: trains in one process"):
        _require_one_process(SimpleNamespace(world_size=2))  # type: ignore[arg-type]
