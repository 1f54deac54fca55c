"""What several processes need, told before they train."""

from __future__ import annotations

from typing import Any

from serving.errors import InputError
from trainer.recipe.applicability import adds_noise
from trainer.recipe.recipe import Recipe
from trainer.run.processes import count, gather, raised_by_all
from trainer.run.run import differences
from trainer.setup.splits import fingerprint
from trainer.setup.training_setup import TrainingSetup

COMPARING_LOSSES = ("cosent", "multiple-negatives-ranking")
"""Of which processes with batches of their own would have another value than one with all rows."""


def require_parallel(recipe: Recipe) -> None:
    """Raise InputError where several processes cannot train by the recipe."""
    if count() < 2:
        if recipe.training.fsdp:
            raise InputError(
                "training.fsdp: divides a model among processes, and one was started; start several by torchrun"
                " --nproc-per-node N -m tuneship train …, or leave it out",
                field="training.fsdp",
            )
        return
    for option, is_set, why in (
        ("few_shot", recipe.few_shot is not None, "trains by no steps that could be shared"),
        ("data.folds", recipe.data.folds is not None, "trains its folds in one process"),
        ("data.long_text", recipe.data.long_text == "windows", "computes a text's windows in one process"),
        ("privacy", adds_noise(recipe), "counts one process's draws of rows"),
        ("model_head.loss", recipe.loss in COMPARING_LOSSES, f"{recipe.loss} compares the rows of one process's batch"),
        ("training.torch_compile", recipe.training.torch_compile, "is for one process"),
    ):
        if is_set:
            raise InputError(
                f"{option}: {why}, and {count()} were started; start it without torchrun, or leave it out", field=option
            )


def require_same_rows(setup: TrainingSetup) -> None:
    """Raise InputError, in all, where the processes have read other rows or another base model."""
    mine = {"model": setup.base.to_record()["sha256"], "rows": _rows(setup)}
    first, *others = gather(mine)
    for at, other in enumerate(others, 1):
        if changes := differences(first, other, words=("in process 0", f"in process {at}")):
            raise raised_by_all(
                InputError(
                    f"the processes do not read the same: {'; '.join(changes[:3])}; give every machine the same files"
                )
            )


def _rows(setup: TrainingSetup) -> dict[str, Any]:
    splits = fingerprint(setup.recipe.data, setup.splits)["splits"]
    return {name: split["sha256"] for name, split in splits.items()}
