"""How long a search goes on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

_MOST_IN_VAIN = 10
"""Trials in a row that were not run, from which on there is nothing left to try."""


@dataclass(frozen=True)
class Budget:
    """``trials`` counts those of this call; ``begun`` is a time of time.monotonic."""

    minutes: float
    trials: int | None = None
    learning_curve: bool = True
    begun: float = field(default_factory=time.monotonic)


class Tally:
    """Counts a call's trials, and those in a row that were not run: ``in_vain``."""

    def __init__(self, most: int | None) -> None:
        self._left, self.in_vain = most or math.inf, 0

    @property
    def goes_on(self) -> bool:
        return self._left > 0 and self.in_vain < _MOST_IN_VAIN

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        if trial.state == TrialState.FAIL:
            self.in_vain += 1
        else:
            self._left, self.in_vain = self._left - 1, 0
