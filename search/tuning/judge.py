"""What the winner of a search is worth: its score on rows that no trial saw, and what more rows would bring."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from search.durations import minutes
from search.tuning.learning_curve import Curve, learning_curve
from search.tuning.progress import SearchProgress
from search.tuning.space import values_of
from search.tuning.trial import SECONDS, Objective
from search.tuning.watch import Deadline, TooSlow
from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.fit.part import train_part
from trainer.fit.score import Score, score_checkpoint
from trainer.setup.training_setup import TrainingSetup

CURVE_COST, SCORING_COST = 0.8, 0.1
"""Of the time of the best trial: a training on a half and one on a quarter of the rows; scoring the held-out rows."""


@dataclass(frozen=True)
class Judge:
    objective: Objective
    held_out: Rows
    folder: Path
    ends_at: float
    progress: SearchProgress

    def __call__(
        self, study: Study, best: FrozenTrial, *, with_curve: bool
    ) -> tuple[Score | None, Curve | None, list[str]]:
        """The score, the curve, and why one of them is missing."""
        setup, notes = self.objective.prepare(values_of(best.params)), list[str]()
        if setup.trained_head:
            notes.append("The base model has been trained before: if that was on these rows, all scores are flattered.")
        score = self._score(setup, self.objective.folder_of(best, study), notes)
        curve = None
        if with_curve and score:
            curve = self._measure_curve(setup, score, float(best.user_attrs[SECONDS]), notes)
        return score, curve, notes

    def _score(self, setup: TrainingSetup, place: Path, notes: list[str]) -> Score | None:
        self.progress.begin("scoring the winner")
        try:
            if not (place / "checkpoint").is_dir():  # another machine has it
                train_part(setup, place, [Deadline(self.ends_at)])
            return score_checkpoint(setup, place / "checkpoint", self.held_out)[0]
        except TooSlow as error:
            notes.append(
                "The winner was trained on another machine, and there was no time to train it here for its score on"
                f" held-out rows: that needs {minutes(error.seconds)}."
            )
            return None

    def _measure_curve(self, setup: TrainingSetup, score: Score, seconds: float, notes: list[str]) -> Curve | None:
        self.progress.begin("learning curve")
        needed = CURVE_COST * seconds
        try:
            if needed > self.ends_at - time.monotonic():
                raise TooSlow(needed)
            return learning_curve(setup, self.held_out, score, self.folder / "learning-curve", self.ends_at)
        except TooSlow as error:
            notes.append(f"There was no time for a learning curve: it needs about {minutes(error.seconds)}.")
        except InputError as error:
            notes.append(f"There is no learning curve: {error}")
        return None
