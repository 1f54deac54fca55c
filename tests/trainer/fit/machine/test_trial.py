"""Timed steps of a real model: they change nothing, and can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.fit.test_trainer import trainer_for
from trainer.fit.batches import collator
from trainer.fit.machine.trial import Candidate, Timing, Trial


def trial_of(base: Path, state: Path) -> Trial:
    trainer = trainer_for(base, state)
    collate = collator(trainer.datasets.tokenizer, trainer.datasets.training_task)
    return Trial(trainer, {8: collate([trainer.datasets.train[at] for at in range(4)])})


def test_same_steps(tiny_backbone: Path, tmp_path: Path) -> None:
    """Every step of a candidate has the same loss, bfloat16's is close to fp32's, and the weights stay."""
    trial = trial_of(tiny_backbone, tmp_path)
    before = {name: weight.clone() for name, weight in trial.trainer.model.state_dict().items()}
    fp32, bf16 = Timing(Candidate(False, 1)), Timing(Candidate(True, 1))
    for _ in range(2):
        assert trial.run(fp32, [8]) > 0
        trial.run(bf16, [8])
    assert fp32.losses[0] == fp32.losses[1]
    assert bf16.losses[0] == pytest.approx(fp32.losses[0], rel=0.02)
    assert bf16.losses[0] != fp32.losses[0]
    assert fp32.problem is bf16.problem is None
    assert 0 < fp32.passes[8] < 60
    assert 0 < fp32.update < 60
    assert all(torch.equal(before[name], weight) for name, weight in trial.trainer.model.state_dict().items())


def test_part(tiny_backbone: Path, tmp_path: Path) -> None:
    """A step on a part of a batch counts as a whole one: by the part's share of the rows."""
    whole = trial_of(tiny_backbone, tmp_path)
    part = {8: {name: value[:1] for name, value in whole.batches[8].items()}}
    trial, timing = Trial(whole.trainer, whole.batches, part, 1e-6), Timing(Candidate(False, 1))
    trial.run(timing, [8], part=True)
    assert timing.passes[8] > 60
    trial.run(timing, [8])
    assert timing.passes[8] < 60


def test_no_number(tiny_backbone: Path, tmp_path: Path) -> None:
    """A loss that is no finite number is the candidate's problem, and stops nothing."""
    trial, timing = trial_of(tiny_backbone, tmp_path), Timing(Candidate(True, 1))
    with torch.no_grad():
        next(trial.trainer.model.parameters()).fill_(float("nan"))
    trial.run(timing, [8])
    assert timing.problem == "the loss is no finite number"


def test_other_error(tiny_backbone: Path, tmp_path: Path) -> None:
    """What torch cannot compute is told in its own words."""
    trial, timing = trial_of(tiny_backbone, tmp_path), Timing(Candidate(True, 1))
    trial.batches[8]["attention_mask"] = trial.batches[8]["attention_mask"][:, :3]
    trial.run(timing, [8])
    assert timing.problem is not None
    assert "size" in timing.problem
