"""What the terminal shows of a search."""

from __future__ import annotations

import time

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape

from search.durations import minutes
from search.tuning.report import describe
from search.tuning.result import trial_record
from search.tuning.space import Values
from search.tuning.study import ended
from search.tuning.trial import REASON
from serving.observability.progress import begin_step
from trainer.metrics.display import format_score, metric_title


class SearchProgress:
    """Reports what is being done, with the time that is left for all, and prints a line for each trial."""

    def __init__(self, console: Console, metric: str, own: Values, ends_at: float) -> None:
        self._console, self._metric, self._own, self._ends_at = console, metric, own, ends_at
        self._best = ""

    def begin(self, what: str) -> None:
        begin_step(f"{what}{self._best}", max(self._ends_at - time.monotonic(), 0.0))

    def show(self, study: Study, trial: FrozenTrial) -> None:
        """A line about a trial that has ended."""
        if best := ended(study):
            self._best = f"; best {metric_title(self._metric)} {format_score(self._metric, best[0].value or 0.0)}"
        text = self._outcome(trial)
        if text:
            what = describe(trial_record(trial)["values"], self._own)
            self._console.print(f"trial {trial.number}  {escape(text)}  {escape(what)}", highlight=False)

    def _outcome(self, trial: FrozenTrial) -> str:
        found, reason = trial_record(trial), str(trial.user_attrs.get(REASON, ""))
        score = (
            ""
            if found["value"] is None
            else f"{metric_title(self._metric)} {format_score(self._metric, found['value'])}"
        )
        if trial.state == TrialState.COMPLETE:
            return f"{score}  {minutes(found['seconds'])}"
        if trial.state == TrialState.PRUNED:
            return f"pruned at epoch {found['epochs']:g}{f': {reason}' if reason else ''}  {score}".strip()
        return f"not scored: {reason}" if reason else "interrupted"
