"""One trial: a recipe of the space, trained without the held-out rows and scored on validation."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from optuna import Trial
from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, TrialState

from search.durations import minutes
from search.tuning.held_out import without_held_out
from search.tuning.space import Space, Values, suggest, with_values
from search.tuning.study import OWNER, ended, origin
from search.tuning.watch import Deadline, Reports, TooSlow
from serving.errors import InputError
from trainer.fit.model_soup import Record
from trainer.fit.part import train_part
from trainer.fit.score import Score, score_checkpoint
from trainer.fit.trainer import TrainingDiverged
from trainer.recipe.recipe import Recipe
from trainer.run.folder_lock import folder_lock
from trainer.setup.training_setup import TrainingSetup, prepare_setup

SECONDS, SCORE, REASON = "seconds", "score", "reason"
"""A trial's attributes."""


class NotRun(Exception):
    """A trial that was not trained, and tells nothing about its recipe's worth."""


class Repeated(NotRun):
    """Its recipe was tried before."""


class NotBegun(NotRun):
    """It would not end in time."""


class PutOff(NotRun):
    """It was begun, and cannot end in time: a later call goes on with it."""


class Refused(NotRun):
    """Its recipe cannot be trained."""


@dataclass
class Objective:
    """From a trial to its validation score. ``ends_at`` gives the time by which it must have ended."""

    recipe: Recipe
    space: Space
    held_out: float
    folder: Path
    owner: str
    ends_at: Callable[[], float]
    interrupted: int | None = None
    put_off: list[int] = field(default_factory=list)

    def __call__(self, trial: Trial) -> float:
        trial.set_user_attr(OWNER, self.owner)
        try:
            return self._run(trial, suggest(trial, self.space))
        except PutOff as error:
            trial.set_user_attr(REASON, str(error))
            self.put_off.append(trial.number)
            raise
        except (NotRun, TrialPruned) as error:
            self._remove(trial, str(error))
            raise
        except BaseException:  # whatever it is, the trial is worth another try
            self.interrupted = trial.number
            raise

    def _run(self, trial: Trial, values: Values) -> float:
        self._require_new(trial)
        self._require_time(trial)
        folder, start = self.folder_of(trial), time.monotonic()
        try:
            with folder_lock(folder):
                setup = self.prepare(values)
                callbacks = [Deadline(self.ends_at()), Reports(trial, setup.recipe.metric)]
                record = train_part(setup, folder, callbacks)
                score, _ = score_checkpoint(setup, folder / "checkpoint", setup.splits.validation)
        except InputError as error:
            raise Refused(str(error)) from error
        except (TrainingDiverged, torch.OutOfMemoryError) as error:
            raise TrialPruned(str(error).splitlines()[0]) from error
        except TooSlow as error:
            left = max(self.ends_at() - start, 0)
            raise PutOff(f"needs {minutes(error.seconds)}, and had {minutes(left)}") from error
        trial.set_user_attr(SECONDS, round(time.monotonic() - start, 1))
        trial.set_user_attr(SCORE, score.to_record())
        return selection_value(setup, record, score)

    def prepare(self, values: Values) -> TrainingSetup:
        """Of a trial; raises InputError."""
        setup = prepare_setup(trial_recipe(self.recipe, self.space, values), self.folder)
        return without_held_out(setup, self.held_out)[0]

    def folder_of(self, trial: Trial | FrozenTrial, study: Any = None) -> Path:
        """The same for each try, so that an interrupted one goes on."""
        return self.folder / "trials" / f"{origin(study or trial.study, trial.number):04d}"  # type: ignore[union-attr]

    def _require_new(self, trial: Trial) -> None:
        for other in trial.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED]):
            if other.number != trial.number and other.params == trial.params:
                raise Repeated(f"as trial {other.number}")

    def _require_time(self, trial: Trial) -> None:
        needed, left = expected_seconds(trial.params, ended(trial.study)), self.ends_at() - time.monotonic()
        if needed is not None and needed > left:
            raise NotBegun(f"would need {minutes(needed)}, and {minutes(max(left, 0))} are left")

    def _remove(self, trial: Trial, reason: str) -> None:
        if reason:
            trial.set_user_attr(REASON, reason)
        keep_record(self.folder_of(trial))


def trial_recipe(recipe: Recipe, space: Space, values: Values) -> Recipe:
    """A soup trains a recipe several times: a trial does it once, unless the space is about that."""
    lighter = {} if "training.weight_soup_runs" in space else {"training.weight_soup_runs": None}
    return with_values(recipe, {**lighter, **values})


def selection_value(setup: TrainingSetup, record: Record, score: Score) -> float:
    """The metric that chooses the checkpoint; of generating models that is not the one of whole answers."""
    if score.metric == setup.recipe.metric:
        return score.value
    name = f"validation_{setup.recipe.metric}"
    return float(max(point[name] for point in record["history"] if name in point))


def expected_seconds(params: dict[str, Any], trials: Sequence[FrozenTrial]) -> float | None:
    """From the trials of the same base model and weights, by epochs; None where there is none."""
    alike = [trial for trial in trials if all(trial.params.get(key) == params.get(key) for key in _COSTLY)]
    if not alike:
        return None
    epochs = params.get(_EPOCHS, 1)
    pace = [float(trial.user_attrs[SECONDS]) / trial.params.get(_EPOCHS, 1) for trial in alike]
    return fmean(pace) * float(epochs)


_EPOCHS = "training.num_train_epochs"
_COSTLY = ("model", "training.trainable", "training.bf16", "data.max_length", "training.gradient_checkpointing")


def keep_record(folder: Path, *, weights: bool = False) -> None:
    """Remove a trial's state, and its weights unless they are asked for."""
    for name in ("state", *(() if weights else ("checkpoint", "checkpoint.partial"))):
        shutil.rmtree(folder / name, ignore_errors=True)
