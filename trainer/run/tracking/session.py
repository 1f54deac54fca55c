"""A training tells the trackers of ``training.report_to``, and an export tells them the bundle's digest.

A tracker that cannot be opened is told before the first step. One that fails later is given up, with a warning:
no training is lost for its log.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from serving.errors import InputError, shorten
from trainer.recipe.recipe import Recipe
from trainer.recipe.training import Tracker as Name
from trainer.run.run import Run
from trainer.run.tracking.tracker import DIGEST, Results, Tracker

_CLASSES: Mapping[Name, tuple[str, str]] = {
    "tensorboard": ("TensorBoard", "tensorboard"),
    "mlflow": ("MLflow", "mlflow-skinny"),
    "wandb": ("Wandb", "wandb"),
    "trackio": ("Trackio", "trackio"),
}
"""Each tracker's class, and what pip installs."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@|(?i:(?<=key=)|(?<=token=)|(?<=password=))[^&\s]+")


def require_packages(recipe: Recipe) -> None:
    """Raises InputError."""
    missing = [name for name in recipe.training.report_to if find_spec(name) is None]
    if missing:
        packages = " ".join(_CLASSES[name][1] for name in missing)
        raise InputError(
            f"training.report_to: {', '.join(missing)}: not installed; pip install {packages}, or leave it out",
            field="training.report_to",
        )


class Tracking(TrainerCallback):  # type: ignore[misc]
    """The trackers of one run as one callback."""

    def __init__(self, trackers: dict[Name, Tracker], ids: dict[Name, str], by_seed: bool, console: Console) -> None:
        self._trackers = trackers
        self._ids = ids
        self._by_seed = by_seed
        self._console = console

    def to_record(self) -> dict[str, Any]:
        """The ids of the tracked runs, by which a resumed training and an export find them again."""
        return {"tracking": self._ids} if self._ids else {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        self._each(lambda tracker: tracker.callback.on_train_begin(args, state, control, **given))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **given: Any
    ) -> None:
        """The trainings of a model soup have curves of their own."""
        named = {f"{name}_seed_{args.seed}" if self._by_seed else name: value for name, value in (logs or {}).items()}
        self._each(lambda tracker: tracker.callback.on_log(args, state, control, logs=dict(named), **given))

    def log_results(self, record: dict[str, Any], figures: Path) -> None:
        steps = [point["step"] for point in record["history"]]
        results = Results(_flat_metrics(record), max(steps, default=0), sorted(figures.glob("*.png")))
        self._each(lambda tracker: tracker.log_results(results))

    def close(self, complete: bool) -> None:
        self._each(lambda tracker: tracker.close(complete))
        self._trackers.clear()

    def _each(self, act: Callable[[Tracker], Any]) -> None:
        for name in list(self._trackers):
            try:
                act(self._trackers[name])
            except Exception as error:  # of a library, its server or its disk: any kind
                self._console.print(f"[yellow]warning[/yellow] {escape(_failure(name, error))}", highlight=False)
                self._give_up(name)

    def _give_up(self, name: Name) -> None:
        with contextlib.suppress(Exception):  # told already
            self._trackers.pop(name).close(complete=False)


@contextlib.contextmanager
def track(recipe: Recipe, run: Run, known: Mapping[str, str], console: Console) -> Iterator[Tracking]:
    """Open the trackers, ``known`` runs again; raises InputError before anything is trained."""
    trackers, ids = dict[Name, Tracker](), dict[Name, str]()
    tracking = Tracking(trackers, ids, recipe.training.weight_soup_runs is not None, console)
    complete = False
    try:
        for name in recipe.training.report_to:
            trackers[name], ids[name] = _open(name, run, recipe, known.get(name))
        yield tracking
        complete = True
    finally:
        tracking.close(complete)


def _open(name: Name, run: Run, recipe: Recipe, known: str | None) -> tuple[Tracker, str]:
    try:
        tracker = _create(name, run)
        return tracker, tracker.open(known, run.root.resolve().name, recipe.to_mapping(run.root))
    except Exception as error:  # as above
        raise InputError(f"training.report_to: {_failure(name, error)}", field="training.report_to") from error


def log_bundle(run: Run, digest: str, variant: str) -> list[str]:
    """Tell the run's trackers of its bundle; returns a warning for each that cannot be told."""
    warnings = []
    for name, run_id in run.read_record().get("tracking", {}).items():
        try:
            _create(name, run).log_digest(run_id, {DIGEST: digest, f"{DIGEST}_{variant}": digest})
        except Exception as error:  # as above
            warnings.append(f"the bundle's digest is not logged: {_failure(name, error)}")
    return warnings


def _create(name: Name, run: Run) -> Tracker:
    tracker: Tracker = getattr(import_module(f"trainer.run.tracking.{name}"), _CLASSES[name][0])(run.tracking / name)
    return tracker


def _failure(name: str, error: Exception) -> str:
    """Without passwords and keys."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{name}: {shorten(_CREDENTIALS.sub('…@', first), 200)}"


def _flat_metrics(record: dict[str, Any]) -> dict[str, float]:
    sets = record["metrics"] | record["test_sets"]
    return {
        f"{name}/{metric}": float(value)
        for name, metrics in sets.items()
        for metric, value in metrics.items()
        if isinstance(value, Real)
    }
