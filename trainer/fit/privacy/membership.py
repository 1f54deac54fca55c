"""A membership-inference attack on a trained model.

The attacker knows a text and its label, and sees the model's loss on it: training rows tend to have lower ones (Yeom et
al. 2018). Stronger attacks train shadow models of their own (LiRA, Carlini et al. 2022), which this does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serving.errors import InputError
from trainer.data.rows import Rows, join_rows
from trainer.fit.batches import Examples, collator
from trainer.fit.privacy.rows import RowExamples, collate_rows, row_losses, take_sizes
from trainer.fit.window_merging import merging
from trainer.metrics.membership import Attack, largest_auc, largest_share, relative_to_label
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.model.device import best_device
from trainer.model.inputs import longest_first
from trainer.recipe.applicability import compares_rows
from trainer.recipe.recipe import Recipe
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup
from trainer.tasks.base import TrainingTask

MOST_ROWS, SEED = 2000, 0
"""Of each side, drawn by a seed."""
FEWEST_ROWS = 10


def attack_run(setup: TrainingSetup, run: Run, privacy: dict[str, Any] | None) -> dict[str, Any]:
    """The record's ``membership``, where the recipe asks for it."""
    section = setup.recipe.privacy
    if section is None or not section.membership_inference:
        return {}
    return {"membership": attack_model(setup, load_checkpoint(run.checkpoint), privacy)}


def attack_model(setup: TrainingSetup, checkpoint: Checkpoint, privacy: dict[str, Any] | None) -> dict[str, Any]:
    """Its part of the run's record; ``privacy`` is what the record says of noise."""
    others, same_file = _other_rows(setup)
    sides = [_sample(rows) for rows in (setup.splits.train, others)]
    if min(map(len, sides)) < FEWEST_ROWS:
        return {"rows": [len(side) for side in sides], "attacks": {}}
    losses = [measure_losses(setup.training_task, checkpoint, rows) for rows in sides]
    labels = [setup.training_task.strata(rows) for rows in sides]
    attacks = {"loss": Attack(-losses[0], -losses[1])}
    if len(set(labels[1])) > 1:
        attacks["loss relative to label"] = relative_to_label(losses[0], labels[0], losses[1], labels[1])
    return {
        "rows": [len(side) for side in sides],
        "same_file": same_file,
        "mean_losses": [float(values.mean()) for values in losses],
        "attacks": {name: attack.to_record() for name, attack in attacks.items()},
        **({"bound": _bound(privacy)} if privacy else {}),
    }


def require_row_losses(recipe: Recipe) -> None:
    """Raise InputError where there is no model that was trained here, or no loss of a single row."""
    problem = (
        "an imported model was not trained here: which rows it has seen is unknown" if recipe.imported
        else "a few-shot classifier has its examples inside" if recipe.few_shot
        else f"the loss {recipe.loss} compares rows, so that none has one of its own" if compares_rows(recipe)
        else None
    )  # fmt: skip
    if problem:
        raise InputError(f"membership inference: {problem}; give a run of another recipe")


@torch.inference_mode()
def measure_losses(training_task: TrainingTask, checkpoint: Checkpoint, rows: Rows) -> NDArray[np.float64]:
    """Of each row, the mean over its labels, without smoothing or weights."""
    examples = RowExamples(Examples(training_task, checkpoint.task, checkpoint.tokenizer, rows), keep_empty=True)
    checkpoint.model.to(best_device()).eval()
    losses = np.zeros(len(rows))
    for places, values in _batch_losses(training_task, checkpoint, examples):
        losses[places] = values
    return losses


def _batch_losses(
    training_task: TrainingTask, checkpoint: Checkpoint, rows: RowExamples
) -> Iterator[tuple[list[int], NDArray[np.float64]]]:
    collate, device = collator(checkpoint.tokenizer, training_task), next(checkpoint.model.parameters()).device
    usable = [at for at in range(len(rows)) if rows[at]]
    lengths = [sum(len(window.ids) for each in rows[at] for window in each.windows) for at in usable]
    for batch_places in longest_first(lengths, training_task.recipe.training.per_device_eval_batch_size):
        places = [usable[at] for at in batch_places]
        batch = {name: value.to(device) for name, value in collate_rows([rows[at] for at in places], collate).items()}
        sizes, labels = take_sizes(batch), batch.pop("labels")
        model = merging(checkpoint.model, batch, training_task.aggregation, len(places))
        logits: Tensor = model(**batch)["logits"].float()
        yield places, row_losses(training_task, logits, labels, sizes, training=False).cpu().numpy().astype(np.float64)


def _other_rows(setup: TrainingSetup) -> tuple[Rows, bool]:
    """Rows that were not trained on, and whether they were drawn from the training rows' files.

    Those of another file may differ from the training rows for other reasons than the training.
    """
    data, splits = setup.recipe.data, setup.splits
    choices = {"validation": [data.validation], "test": [choice for _, choice in data.test_sets()]}
    drawn = [
        rows for name, rows in splits.by_name()[1:] if not any(isinstance(choice, str) for choice in choices[name])
    ]
    return (join_rows(drawn), True) if drawn else (splits.test, False)


def _sample(rows: Rows) -> Rows:
    if len(rows) <= MOST_ROWS:
        return rows
    places: Sequence[int] = np.random.default_rng(SEED).choice(len(rows), MOST_ROWS, replace=False).tolist()
    return rows.take(sorted(places))


def _bound(privacy: dict[str, Any]) -> dict[str, float]:
    epsilon, delta = privacy["epsilon"], privacy["delta"]
    return {
        "auc": largest_auc(epsilon, delta),
        "true_positive_rate": float(largest_share(epsilon, delta, 0.01)),
    }
