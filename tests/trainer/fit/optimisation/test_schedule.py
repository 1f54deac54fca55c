"""The learning rate from step to step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, fit
from tests.trainer.fit.small_trainer import trainer_for
from trainer.fit.optimisation.schedule import create_schedule
from trainer.recipe.training import Training


def rates(schedule: str, options: dict[str, Any] | None = None, **settings: Any) -> list[float]:
    """Of the backbone after each of nine steps of ten, two of which warm up; the peak is 1."""
    values = {"lr_scheduler_type": schedule, "lr_scheduler_kwargs": options, "learning_rate": 1.0, **settings}
    training = Training.model_validate(values).resolve()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = create_schedule(training, optimizer, 10, math.ceil(10 * (training.warmup_ratio or 0.0)))
    found = []
    for _ in range(9):
        optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return found


@pytest.mark.parametrize(
    ("schedule", "options", "expected"),
    [
        ("constant", None, [0.5, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", None, [0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ("cosine", None, [0.5, 1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381]),
        ("cosine", {"num_cycles": 1}, [0.5, 1, 0.8536, 0.5, 0.1464, 0, 0.1464, 0.5, 0.8536]),
        ("cosine_with_restarts", {"num_cycles": 2}, [0.5, 1, 0.8536, 0.5, 0.1464, 1, 0.8536, 0.5, 0.1464]),
        ("cosine_with_min_lr", {"min_lr_rate": 0.2}, [0.5, 1, 0.9696, 0.8828, 0.7531, 0.6, 0.4469, 0.3172, 0.2304]),
        ("cosine_with_min_lr", {"min_lr": 0.2}, [0.5, 1, 0.9696, 0.8828, 0.7531, 0.6, 0.4469, 0.3172, 0.2304]),
        ("polynomial", {"power": 2, "lr_end": 0.1}, [0.5, 1, 0.7891, 0.6063, 0.4516, 0.325, 0.2266, 0.1563, 0.1141]),
        ("inverse_sqrt", None, [0.5, 1, 0.8165, 0.7071, 0.6325, 0.5774, 0.5345, 0.5, 0.4714]),
        ("inverse_sqrt", {"timescale": 8}, [0.5, 1, 0.9428, 0.8944, 0.8528, 0.8165, 0.7845, 0.7559, 0.7303]),
        ("warmup_stable_decay", None, [0.5, 1, 1, 1, 1, 1, 1, 1, 0.5]),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 4, "decay_type": "linear", "min_lr_ratio": 0.2},
            [0.6, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4],
        ),
    ],
)
def test_schedules(schedule: str, options: dict[str, Any] | None, expected: list[float]) -> None:
    """Each schedule warms up over its fraction of the steps, then follows its curve."""
    assert rates(schedule, options, warmup_ratio=0.2) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("schedule", ["linear", "polynomial", "warmup_stable_decay", "inverse_sqrt", "cosine"])
def test_single_step(schedule: str) -> None:
    """A training of one step learns: the warmup never takes all steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = create_schedule(Training(lr_scheduler_type=schedule).resolve(), optimizer, 1, 1)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1.0)
    optimizer.step()
    scheduler.step()


def test_trainer_follows_it(tiny_backbone: Path, tmp_path: Path) -> None:
    """Backbone and head follow the curve, each from its own peak, and the run tells the backbone's rates."""
    trainer = trainer_for(
        tiny_backbone, tmp_path, lr_scheduler_type="polynomial", lr_scheduler_kwargs={"power": 2.0}, learning_rate=1e-3,
        max_steps=4, warmup_ratio=0.0, logging_steps=1,
    )  # fmt: skip
    trainer.train()
    told = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert told == pytest.approx([1e-3 * (1 - step / 4) ** 2 for step in range(4)], abs=1e-7)
    assert {group["initial_lr"] for group in trainer.optimizer.param_groups} == {1e-3, 2.5e-2}


@pytest.mark.slow
def test_plateau(toy: MakeRecipe, tmp_path: Path) -> None:
    """The rates fall where validation no longer gets better, and a better metric is a higher one."""
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 8.0)])
    settings = Training(lr_scheduler_type="reduce_lr_on_plateau", learning_rate=1.0).resolve()
    scheduler: Any = create_schedule(settings, optimizer, 10, 0)
    found = []
    for metric in (0.5, 0.6, 0.7, 0.7, 0.6, 0.7, 0.7):
        scheduler.step(metric)
        found.append([group["lr"] for group in optimizer.param_groups])
    assert found == [[1, 8]] * 4 + [[0.5, 4]] * 2 + [[0.25, 2]]
    options = {"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"patience": 0, "threshold": 1.0}}
    run = fit(toy(training={"num_train_epochs": 3, "logging_steps": 7, **options}), tmp_path / "run")
    told = [point["learning_rate"] for point in run.read_record()["history"] if "learning_rate" in point]
    assert told == pytest.approx([5e-3, 2.5e-3])


def test_too_few_steps(toy: MakeRecipe, tmp_path: Path) -> None:
    """A decay that is longer than the training is told before its first step."""
    options = {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 100}}
    with pytest.raises(InputError, match=r"num_decay_steps: 2 steps of warmup and 100 of decay .* give at most \d+"):
        fit(toy(training=options), tmp_path / "run")


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"lr_scheduler_kwargs": {"power": 2.0}}, "power: not of lr_scheduler_type: linear; it takes none"),
        (
            {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"num_cycles": 2.0, "factor": 0.5}},
            "num_cycles, factor: not of lr_scheduler_type: polynomial; it takes lr_end, power",
        ),
        ({"lr_scheduler_type": "polynomial", "learning_rate": 1e-8}, "lr_end: 1e-07 must be below"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "needs one of min_lr and min_lr_rate"),
        (
            {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 1.5}},
            "num_cycles: 1.5 starts are no whole number",
        ),
        ({"lr_scheduler_type": "reduce_lr_on_plateau", "warmup_ratio": 0.1}, "has no warmup"),
        ({"max_steps": 5, "num_train_epochs": 2}, "stands in place of training.num_train_epochs"),
        ({"max_steps": 5, "weight_averaging_epochs": 2}, "needs whole epochs; leave training.max_steps out"),
    ],
)
def test_refused(training: dict[str, Any], message: str) -> None:
    """What cannot act is refused by name, with what would be accepted."""
    with pytest.raises(ValueError, match=message):
        Training.model_validate(training)


def test_resolved_recipes_load_again() -> None:
    """With every default that acts written out, and to the same values."""
    for schedule in ("polynomial", "warmup_stable_decay", "reduce_lr_on_plateau", "inverse_sqrt", "cosine", "linear"):
        for more in ({}, {"max_steps": 5}, {"optim": "sgd"}, {"optim": "adafactor"}):
            resolved = Training.model_validate({"lr_scheduler_type": schedule, **more}).resolve()
            saved = resolved.model_dump(exclude_none=True)
            assert Training.model_validate(saved).resolve() == resolved
