"""`tuneship baseline`: from a constant answer to fine-tuning everything, what each rung reaches on validation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.ladder.cheap import CheapRungs
from search.ladder.fine_tuned import NAMES, train_rung
from search.ladder.linear import TASKS
from search.ladder.rung import Rung
from search.ladder.whole_models import UNTRAINED_TASKS, measure_untrained
from serving.errors import InputError, did_you_mean
from serving.observability.progress import begin_step
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import FewShot
from trainer.setup.training_setup import TrainingSetup, prepare_setup, require_rows_in_memory

CHEAP = ("majority", "tf-idf", "static", "few-shot", "frozen")
RUNGS = (*CHEAP, "untrained", *NAMES)
"""From the cheapest to the dearest."""

_TRAINED_FIRST = ("full", "classifier", "lora")
"""Where the minutes do not suffice for all: what the verdict is about comes first."""


def climb(
    recipe: Recipe,
    folder: Path,
    rungs: Sequence[str] | None = None,
    *,
    minutes: float = 10,
    examples: Sequence[int] = (0, 5, 10),
    repeats: int = 3,
) -> list[Rung]:
    """The rungs in their order, by default those that the recipe's task has.

    ``minutes`` are for all that are trained. Raises InputError.
    """
    rungs = rungs or rungs_of(recipe)
    if unknown := [rung for rung in rungs if rung not in RUNGS]:
        known = f"{', '.join(RUNGS)}{did_you_mean(unknown[0], RUNGS)}"
        raise InputError(f"--rungs {unknown[0]}: is unknown; accepted are: {known}", field="--rungs")
    if recipe.imported:
        raise InputError("imported: such a recipe trains nothing; write one with the training's rows", field="imported")
    require_rows_in_memory(recipe, "tuneship baseline")
    own = recipe.model_copy(update={"few_shot": None})
    begin_step("reading the rows…")
    setup = prepare_setup(own, folder)
    found = list(_cheap(recipe, setup, folder, rungs, examples, repeats))
    if "untrained" in rungs:
        found.append(_untrained(setup))
    ends_at = time.monotonic() + 60 * minutes
    for key in (key for key in _TRAINED_FIRST if key in rungs):
        begin_step(f"training: {NAMES[key]}…", max(ends_at - time.monotonic(), 0.0))
        found.append(train_rung(own, key, ends_at))
    return sorted(found, key=lambda rung: RUNGS.index(rung.key))


def rungs_of(recipe: Recipe) -> list[str]:
    """Those that can answer its rows."""
    cheap = CHEAP if _has_linear(recipe) else ()
    own = "untrained" if recipe.task in UNTRAINED_TASKS else "classifier"  # a head of its own, or none to train
    return [*cheap, own, "lora", "full"]


def _has_linear(recipe: Recipe) -> bool:
    return recipe.task in TASKS and not recipe.ranks


def _untrained(setup: TrainingSetup) -> Rung:
    if setup.recipe.task not in UNTRAINED_TASKS:
        return Rung("untrained", "untrained", note=f"a base model has no answers of its own to {setup.recipe.task}")
    begin_step("the base model as it is…")
    return measure_untrained(setup)


def _cheap(
    recipe: Recipe,
    setup: TrainingSetup,
    folder: Path,
    rungs: Sequence[str],
    examples: Sequence[int],
    repeats: int,
) -> Iterator[Rung]:
    wanted = [rung for rung in CHEAP if rung in rungs]
    if not wanted:
        return
    if not _has_linear(setup.recipe):
        found = "pairs without scores" if setup.recipe.ranks else recipe.task
        yield from (Rung(key, key, note=f"is for texts with labels or numbers, not for {found}") for key in wanted)
        return
    ladder = CheapRungs(setup, prepare_setup(_for_vectors(recipe), folder), examples, repeats)
    makers = {
        "majority": ladder.majority,
        "tf-idf": ladder.tf_idf,
        "static": ladder.static,
        "few-shot": ladder.few_shot,
        "frozen": ladder.frozen,
    }
    for key in wanted:
        begin_step(f"{key}…")
        if key == "few-shot" and (recipe.task != "text-classification" or recipe.data.text_pair):
            yield Rung(key, key, note="is for single texts with one label each")
        else:
            yield from makers[key]()


def _for_vectors(recipe: Recipe) -> Recipe:
    """Of a few-shot model: the base model's own vectors, a logit a label, no head that was trained before."""
    head = recipe.model_head.model_copy(update={"loss": None, "layers": 1})
    few_shot = recipe.few_shot or FewShot(examples_per_label=0)
    return recipe.model_copy(update={"few_shot": few_shot, "model_head": head})
