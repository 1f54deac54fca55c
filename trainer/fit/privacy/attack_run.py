"""The attack on a run that was trained before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.fit.privacy.membership import attack_model, require_row_losses
from trainer.metrics.display import main_metric
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import LOCKED, NOW, require_locked
from trainer.run.report.privacy import describe_score
from trainer.run.run import Run, differences
from trainer.setup.training_setup import prepare_setup


def attack_finished_run(
    folder: Path, overrides: Sequence[str] = ()
) -> tuple[dict[str, Any] | None, dict[str, Any], str]:
    """What the run says of noise, the attack's figures, and the test score in words; raises InputError."""
    run = Run.open(folder)
    recipe = load_recipe(run.recipe, overrides)
    require_row_losses(recipe)
    lock, record = require_locked(run), run.read_record()
    setup = prepare_setup(recipe, run.root)
    was, now = (
        {f"{name} rows": split["sha256"] for name, split in splits.items()}
        for splits in (lock.data["splits"], setup.to_record(run.root)["data"]["splits"])
    )
    if changes := differences(was, now, words=(LOCKED, NOW)):
        raise InputError(
            f"{folder}: the rows are not those that the run was trained with: {'; '.join(changes)}. Restore the files"
            " that the recipe names, or say where they are with --set data.train=FILE"
        )
    privacy, name = record.get("privacy"), main_metric(record)
    membership = attack_model(setup, load_checkpoint(run.checkpoint), privacy)
    return privacy, membership, describe_score(name, record["metrics"]["test"])
