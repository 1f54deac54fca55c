"""`tuneship tune`: look for a better recipe within some minutes, and say honestly what it is worth."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from search.durations import minutes
from search.tuning.budget import Budget, Tally
from search.tuning.held_out import without_held_out
from search.tuning.judge import CURVE_COST, SCORING_COST, Judge
from search.tuning.progress import SearchProgress
from search.tuning.report import report, trials_table, worth
from search.tuning.result import Result, trial_record, trials_of
from search.tuning.space import Space, own_values, space_of, values_of, with_values
from search.tuning.study import DATABASE, PRUNERS, ended, open_study, requeue, retry_interrupted, told_database
from search.tuning.trial import REASON, SECONDS, NotRun, Objective, keep_record
from serving.errors import InputError, UserError, did_you_mean
from trainer.data.rows import Rows
from trainer.recipe.recipe import Recipe
from trainer.recipe.search import Range, Search
from trainer.run.folder_lock import LOCK_FILE, folder_lock
from trainer.run.run import comparable, write_atomically
from trainer.setup.training_setup import TrainingSetup, prepare_setup, require_rows_in_memory

BEST, REPORT, RECORD = "best.yaml", "report.md", "study.json"


class NothingFound(UserError):
    """No trial ended."""


def tune(
    recipe: Recipe,
    folder: Path,
    budget: Budget,
    *,
    storage: str | None = None,
    pruner: str = "median",
    console: Console | None = None,
    check: Callable[[TrainingSetup], None] = lambda setup: None,
) -> Result:
    """Search, and leave the best recipe, a report and the study in ``folder``.

    Raises InputError, NothingFound or StudyLost.

    A search that was interrupted goes on: its trials are kept, and the one that was running is taken up again.
    ``storage`` is the URL of a database that several machines work on, each with a folder of its own.
    """
    console, ends_at = console or Console(), budget.begun + 60 * budget.minutes
    _require_searchable(recipe, folder, pruner)
    setup = prepare_setup(recipe, folder)
    check(setup)
    space = space_of(setup, recipe)
    _check_models(recipe, space, folder)
    with folder_lock(folder):
        search = Tuning(recipe, setup, space, folder, budget, ends_at, console)
        study = open_study(folder, storage, search.identity(), pruner, recipe.training.seed)
        with told_database(storage or str(folder / DATABASE)):
            return search.run(study)


def _require_searchable(recipe: Recipe, folder: Path, pruner: str) -> None:
    require_rows_in_memory(recipe, "tuneship tune")
    if recipe.few_shot or recipe.imported:
        section = "few_shot" if recipe.few_shot else "imported"
        raise InputError(
            f"{section}: such a recipe trains nothing that a search could change; leave it out", field=section
        )
    if recipe.distil:
        raise InputError(
            "distil: the teacher has seen the rows that a search holds out, which would flatter the scores; search"
            " without it, and distil by the best recipe",
            field="distil",
        )
    if pruner not in PRUNERS:
        known = f"{', '.join(PRUNERS)}{did_you_mean(pruner, PRUNERS)}"
        raise InputError(f"--pruner {pruner} is unknown; accepted are: {known}", field="--pruner")
    others = [path.name for path in folder.iterdir() if path.name != LOCK_FILE] if folder.is_dir() else []
    if others and not {DATABASE, RECORD, "trials"} & set(others):
        raise InputError(
            f"{folder}: holds something else than a search ({', '.join(sorted(others)[:3])}); give another --output",
            field="--output",
        )


def _check_models(recipe: Recipe, space: Space, folder: Path) -> None:
    """Raises InputError for a base model that is not there, before any other is trained."""
    models = space.get("model", ())
    for model in () if isinstance(models, Range) else models:
        prepare_setup(with_values(recipe, {"model": model}), folder)


class Tuning:
    """One call of `tune`."""

    def __init__(
        self,
        recipe: Recipe,
        setup: TrainingSetup,
        space: Space,
        folder: Path,
        budget: Budget,
        ends_at: float,
        console: Console,
    ) -> None:
        self._recipe, self._setup, self._space, self._folder = recipe, setup, space, folder
        self._budget, self._ends_at, self._console = budget, ends_at, console
        self._fraction = (recipe.search or Search()).held_out
        self._own = values_of(own_values(setup.recipe, space))
        self._progress = SearchProgress(console, setup.recipe.metric, self._own, ends_at)
        self._owner = f"{socket.gethostname()}:{folder.resolve()}"
        self._best_seconds = 0.0
        self._objective = Objective(recipe, space, self._fraction, folder, self._owner, self._search_ends_at)

    def identity(self) -> dict[str, Any]:
        """What the trials of one study have in common."""
        space = {
            key: choices.model_dump() if isinstance(choices, Range) else list(choices)
            for key, choices in self._space.items()
        }
        same = {"space": space, "held_out": self._fraction, "metric": self._setup.recipe.metric}
        identity = {"task": self._recipe.task, **same, **comparable(self._setup.to_record(self._folder))}
        plain: dict[str, Any] = json.loads(json.dumps(identity))
        return plain

    def run(self, study: Study) -> Result:
        part, held_out = without_held_out(self._setup, self._fraction)
        self._introduce(study, part, held_out)
        self._search(study)
        if not (best := ended(study)):
            raise NothingFound(self._nothing(study))
        self._keep(study, best[0])
        judge = Judge(self._objective, held_out, self._folder, self._ends_at, self._progress)
        score, curve, notes = judge(study, best[0], with_curve=self._budget.learning_curve)
        result = Result(
            self._setup.recipe.metric, self._own, trials_of(study), trial_record(best[0]), score, curve, notes
        )
        spent = f"This call took {minutes(time.monotonic() - self._budget.begun)} of {self._budget.minutes:g} min."
        write_atomically(self._folder / RECORD, json.dumps(result.to_record(), indent=2, ensure_ascii=False) + "\n")
        write_atomically(self._folder / REPORT, report(result, spent))
        self._show(result)
        return result

    def _introduce(self, study: Study, part: TrainingSetup, held_out: Rows) -> None:
        sizes = f"{len(part.splits.train)} train · {len(part.splits.validation)} validation · {len(held_out)} held-out"
        self._console.print(f"search over {', '.join(self._space)}", highlight=False)
        self._console.print(f"data {sizes} rows; the test rows are not used", highlight=False)
        retried = retry_interrupted(study, self._owner)
        if done := len(ended(study)):
            again = f"; trial {retried[0]} was interrupted and is taken up again" if retried else ""
            self._console.print(f"going on after {done} trials{again}", highlight=False)
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(own_values(self._setup.recipe, self._space))  # so that the best is never worse

    def _search(self, study: Study) -> None:
        tally = Tally(self._budget.trials)
        try:
            while tally.goes_on and time.monotonic() < self._search_ends_at():
                begun = [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
                if not tally.in_vain:
                    self._progress.begin(f"trial {len(begun)}")
                study.optimize(
                    self._objective, n_trials=1, catch=(NotRun,), callbacks=[tally, partial(self._after, tally)]
                )
        finally:
            interrupted = self._objective.interrupted
            for number in [*self._objective.put_off, *([] if interrupted is None else [interrupted])]:
                requeue(study, study.get_trials()[number])

    def _search_ends_at(self) -> float:
        """What judges the winner needs its time too."""
        cost = SCORING_COST + (CURVE_COST if self._budget.learning_curve else 0)
        return self._ends_at - cost * self._best_seconds

    def _after(self, tally: Tally, study: Study, trial: FrozenTrial) -> None:
        if tally.in_vain < 2:  # the first one says why, and others follow within seconds
            self._progress.show(study, trial)
        if best := ended(study):
            self._keep(study, best[0])

    def _keep(self, study: Study, best: FrozenTrial) -> None:
        """The weights of the best trial alone, and its recipe."""
        self._best_seconds = float(best.user_attrs[SECONDS])
        with_values(self._recipe, values_of(best.params)).model_copy(update={"search": None}).save(self._folder / BEST)
        for place in (self._folder / "trials").glob("*/"):
            if (place / "checkpoint").is_dir():
                keep_record(place, weights=place == self._objective.folder_of(best, study))

    def _nothing(self, study: Study) -> str:
        reasons = [trial.user_attrs.get(REASON) for trial in study.get_trials(deepcopy=False)]
        last = next((reason for reason in reversed(reasons) if reason), "none was begun")
        return (
            f"{self._folder}: no trial ended in {self._budget.minutes:g} min; the last: {last}. The study is kept:"
            " repeat the command with more --minutes, or with a smaller search.space"
        )

    def _show(self, result: Result) -> None:
        self._console.print(trials_table(result))
        for line in (*worth(result), result.advice):
            self._console.print(line, highlight=False, markup=False)
