"""What a search has found, as study.json keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.tuning.learning_curve import Curve, advise, gain_of_twice_the_trials
from search.tuning.space import values_of
from search.tuning.study import ended
from search.tuning.trial import REASON, SCORE, SECONDS
from trainer.fit.score import Score


@dataclass(frozen=True)
class Result:
    """``own`` are the recipe's values; ``held_out`` and ``curve`` are None where the minutes did not suffice."""

    metric: str
    own: dict[str, Any]
    trials: list[dict[str, Any]]
    best: dict[str, Any]
    held_out: Score | None
    curve: Curve | None
    notes: list[str]

    @property
    def selected(self) -> dict[str, Any]:
        """The winner's validation score, which chose it."""
        score: dict[str, Any] = self.best["score"]
        return score

    @property
    def advice(self) -> str:
        scores = [trial["value"] for trial in self.trials if trial["value"] is not None]
        return advise(self.metric, self.curve, gain_of_twice_the_trials(scores))

    def to_record(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "best": self.best,
            "held_out": self.held_out.to_record() if self.held_out else None,
            "learning_curve": self.curve.to_record() if self.curve else None,
            "advice": self.advice,
            "notes": self.notes,
            "trials": self.trials,
        }


def trials_of(study: Study) -> list[dict[str, Any]]:
    """Those that were trained, the best first; then those that were ended, the latest value beside."""
    pruned = study.get_trials(deepcopy=False, states=[TrialState.PRUNED])
    order = sorted(pruned, key=lambda trial: -_value(trial) if trial.intermediate_values else 1.0)
    return [trial_record(trial) for trial in [*ended(study), *order]]


def trial_record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": "ended" if trial.state == TrialState.COMPLETE else "pruned",
        "value": _value(trial) if trial.values or trial.intermediate_values else None,
        "score": trial.user_attrs.get(SCORE),
        "seconds": trial.user_attrs.get(SECONDS),
        "epochs": max(trial.intermediate_values, default=0) / 100,
        "reason": trial.user_attrs.get(REASON, ""),
        "values": values_of(trial.params),
    }


def _value(trial: FrozenTrial) -> float:
    """A pruned trial's is its best evaluation."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return trial.value
    return max(trial.intermediate_values.values())
