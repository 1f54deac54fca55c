"""What ends a trial before its time: the others were better at this point, or it would not end in time."""

from __future__ import annotations

import time
from typing import Any

from optuna import Trial
from optuna.exceptions import TrialPruned
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_MEASURED_STEPS, _MEASURED_SHARE = 10, 0.03
_TOLERANCE = 1.05
"""A projection from few steps may be off by so much."""


class TooSlow(Exception):
    """A training cannot end in time; ``seconds`` are those that it needs."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Deadline(TrainerCallback):  # type: ignore[misc]
    """Raises TooSlow once the steps so far show that the training ends after ``ends_at`` (of time.monotonic)."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at
        self._begun, self._first = time.monotonic(), 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._begun, self._first = time.monotonic(), state.global_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        now, done = time.monotonic(), state.global_step - self._first
        left = (now - self._begun) / done * (state.max_steps - state.global_step)
        measured = done >= max(_MEASURED_STEPS, _MEASURED_SHARE * state.max_steps)
        if now > self._ends_at or (measured and now + left > self._end_with_tolerance()):
            raise TooSlow(now + left - self._begun)

    def _end_with_tolerance(self) -> float:
        return self._begun + (self._ends_at - self._begun) * _TOLERANCE


class Reports(TrainerCallback):  # type: ignore[misc]
    """Reports each evaluation to the study, by hundredths of an epoch; raises TrialPruned where it says so."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        self._trial.report(metrics[f"eval_{self._metric}"], round(100 * (state.epoch or 0)))
        if state.global_step < state.max_steps and self._trial.should_prune():
            raise TrialPruned
