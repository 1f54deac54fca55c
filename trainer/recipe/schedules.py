"""What the learning-rate schedules take, under transformers' names."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trainer.recipe.section import Section

LrScheduler = Literal[
    "constant",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "inverse_sqrt",
    "warmup_stable_decay",
    "reduce_lr_on_plateau",
]
Curve = Literal["linear", "cosine", "1-sqrt"]

DEFAULTS: dict[LrScheduler, dict[str, Any]] = {
    "constant": {},
    "linear": {},
    "cosine": {"num_cycles": 0.5},
    "cosine_with_restarts": {"num_cycles": 1.0},
    "cosine_with_min_lr": {"num_cycles": 0.5, "min_lr": None, "min_lr_rate": None},
    "polynomial": {"lr_end": 1e-7, "power": 1.0},
    "inverse_sqrt": {"timescale": None},
    "warmup_stable_decay": {
        "num_decay_steps": None,
        "warmup_type": "linear",
        "decay_type": "cosine",
        "min_lr_ratio": 0.0,
        "num_cycles": 0.5,
    },
    "reduce_lr_on_plateau": {"factor": 0.5, "patience": 1, "threshold": 1e-4, "cooldown": 0, "min_lr": 0.0},
}
"""The keys of each schedule, with their defaults."""


class LrSchedulerOptions(Section):
    """What the schedule ``lr_scheduler_type`` takes; each knows some of the keys."""

    num_cycles: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="waves of a cosine, null: 0.5, from the peak to the end; of cosine_with_restarts how often it"
        " starts, null: 1",
    )
    min_lr: float | None = Field(
        default=None,
        ge=0,
        description="of cosine_with_min_lr: where it ends; of reduce_lr_on_plateau: never below it, null: 0",
    )
    min_lr_rate: float | None = Field(
        default=None, ge=0, lt=1, description="of cosine_with_min_lr: the same, as a share of learning_rate"
    )
    lr_end: float | None = Field(default=None, ge=0, description="of polynomial: where it ends; null: 1e-7")
    power: float | None = Field(default=None, gt=0, le=100, description="of polynomial; null: 1")
    timescale: int | None = Field(
        default=None, ge=1, description="of inverse_sqrt, in steps; null: the warmup's, or 10,000 without one"
    )
    num_decay_steps: int | None = Field(
        default=None, ge=1, description="of warmup_stable_decay; null: a fifth of the steps"
    )
    warmup_type: Curve | None = Field(default=None, description="of warmup_stable_decay; null: linear")
    decay_type: Curve | None = Field(default=None, description="of warmup_stable_decay; null: cosine")
    min_lr_ratio: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="of warmup_stable_decay: where it begins and ends, as a share of learning_rate; null: 0",
    )
    factor: float | None = Field(
        default=None, gt=0, lt=1, description="of reduce_lr_on_plateau: what the rates are multiplied by; null: 0.5"
    )
    patience: int | None = Field(
        default=None,
        ge=0,
        description="of reduce_lr_on_plateau: evaluations without a better metric before the rates fall; null: 1",
    )
    threshold: float | None = Field(
        default=None, ge=0, description="of reduce_lr_on_plateau: by which share a better metric is better; null: 1e-4"
    )
    cooldown: int | None = Field(
        default=None, ge=0, description="of reduce_lr_on_plateau: evaluations after a fall that do not count; null: 0"
    )

    def to_arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


def check_schedule(kind: LrScheduler, options: LrSchedulerOptions | None, learning_rate: float) -> None:
    """Raises ValueError."""
    name = "training.lr_scheduler_kwargs"
    given, known = options.to_arguments() if options else {}, DEFAULTS[kind]
    if unknown := [key for key in given if key not in known]:
        accepted = f"it takes {', '.join(known)}" if known else "it takes none"
        raise ValueError(f"{name}: {', '.join(unknown)}: not of lr_scheduler_type: {kind}; {accepted}")
    if kind == "cosine_with_min_lr" and ("min_lr" in given) == ("min_lr_rate" in given):
        raise ValueError(f"{name}: lr_scheduler_type: {kind} needs one of min_lr and min_lr_rate")
    if kind == "cosine_with_restarts" and given.get("num_cycles", 1.0) % 1:
        raise ValueError(f"{name}.num_cycles: {given['num_cycles']:g} starts are no whole number")
    end = "lr_end" if kind == "polynomial" else "min_lr"
    if (lowest := given.get(end, known.get(end) or 0.0)) >= learning_rate:
        raise ValueError(f"{name}.{end}: {lowest:g} must be below training.learning_rate, {learning_rate:g}")


def resolve_schedule(kind: LrScheduler, options: LrSchedulerOptions | None) -> LrSchedulerOptions | None:
    """With the defaults of the schedule's keys."""
    given = options.to_arguments() if options else {}
    return LrSchedulerOptions(**{**DEFAULTS[kind], **given}) if DEFAULTS[kind] else None
