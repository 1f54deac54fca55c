"""What the terminal shows of a search."""

from __future__ import annotations

import time
from types import TracebackType

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from search.durations import minutes
from search.tuning.report import describe
from search.tuning.result import trial_record
from search.tuning.space import Values
from search.tuning.study import ended
from search.tuning.trial import REASON
from trainer.metrics.display import format_score, metric_title


class SearchProgress:
    """A bar on a terminal with the time left, and a line for each trial."""

    def __init__(self, console: Console, metric: str, own: Values, ends_at: float) -> None:
        self._console, self._metric, self._own, self._ends_at = console, metric, own, ends_at
        self._best = "–"
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn(f"{{task.percentage:>3.0f}} %  best {metric_title(metric)} {{task.fields[best]}}"),
            TextColumn("{task.fields[left]} left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("trial", total=1.0, best=self._best, left="")

    def __enter__(self) -> SearchProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, what: str) -> None:
        self._bar.update(self._task, description=what, completed=0.0)

    def tell(self, share: float) -> None:
        left = minutes(max(self._ends_at - time.monotonic(), 0))
        self._bar.update(self._task, completed=share, best=self._best, left=left)

    def show(self, study: Study, trial: FrozenTrial) -> None:
        """A line about a trial that has ended."""
        if best := ended(study):
            self._best = format_score(self._metric, best[0].value or 0.0)
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
