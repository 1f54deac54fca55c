"""Whether `tuneship train` would take a recipe: the same checks, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.model.base_model import HubUnreachable
from trainer.recipe.recipe import create_recipe
from trainer.setup.splits import Splits, load_splits
from trainer.setup.training_setup import TrainingSetup, prepare_setup
from trainer.tasks import create_training_task

MOST_UNUSABLE = 0.05
"""Of the rows; more than this is for a person to look at."""


@dataclass(frozen=True)
class Rehearsal:
    """Attributes:
    setup: None where the base model cannot be had here; ``unreachable`` says why.
    problem: why a training would be refused; empty otherwise.
    skipped: rows that can only be left out, and what is wrong with the first of them.
    """

    splits: Splits | None = None
    setup: TrainingSetup | None = None
    unreachable: str = ""
    problem: str = ""
    skipped: int = 0
    example: str = ""

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, rows in self.splits.by_name()) if self.splits else 0

    def token_counter(self) -> Callable[[Sequence[str]], list[int]] | None:
        """None without a tokenizer."""
        if self.setup is None:
            return None
        tokenizer = self.setup.tokenizer
        return lambda texts: [len(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"]]


def rehearse(mapping: dict[str, Any], folder: Path, name: str, *, rendered: bool = False) -> Rehearsal:
    """Of a recipe in ``folder``; a few unusable rows are left out.

    ``rendered`` rows cannot be read without the base model's tokenizer.
    """
    try:
        return _prepare(mapping, folder, name, rendered)
    except InputError as error:
        problem = str(error)
    skip = {**mapping, "data": {**mapping["data"], "unusable_rows": "skip"}}
    try:
        skipping = _prepare(skip, folder, name, rendered)
    except InputError:
        return Rehearsal(problem=problem)
    left_out = skipping.splits.unusable_rows if skipping.splits else []
    count = sum(len(each["rows"]) for each in left_out)
    if not left_out or count > MOST_UNUSABLE * (skipping.rows + count):
        return Rehearsal(skipping.splits, skipping.setup, skipping.unreachable, problem)
    example = f"{left_out[0]['file']}, row {left_out[0]['rows'][0]}: {left_out[0]['problem']}"
    return Rehearsal(skipping.splits, skipping.setup, skipping.unreachable, "", count, example)


def _prepare(mapping: dict[str, Any], folder: Path, name: str, rendered: bool) -> Rehearsal:
    """Raises InputError."""
    recipe = create_recipe(mapping, folder, name)
    try:
        setup = prepare_setup(recipe, folder)
    except HubUnreachable as error:
        splits = None if rendered else load_splits(create_training_task(recipe))
        return Rehearsal(splits, unreachable=str(error))
    return Rehearsal(setup.splits, setup)
