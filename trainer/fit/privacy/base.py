"""Whether the base model knows the training rows already."""

from __future__ import annotations

from serving.errors import InputError
from trainer.recipe.applicability import adds_noise
from trainer.run.run import FINISHED, Run
from trainer.setup.training_setup import TrainingSetup


def require_unseen_rows(setup: TrainingSetup) -> None:
    """Raise InputError where a private training begins at the checkpoint of a run on the same rows.

    Without noise that run tells of them all that it likes; with noise, the ε of both add up.
    """
    run = Run(setup.base.folder.parent)
    if not adds_noise(setup.recipe) or run.status() != FINISHED:
        return
    splits = setup.to_record(run.root)["data"]["splits"]
    if run.read_record()["data"]["splits"]["train"]["sha256"] == splits["train"]["sha256"]:
        raise InputError(
            f"model: {setup.base.folder} was trained on the same rows before, and this recipe's ε would say nothing of"
            " that; begin at a base model that has not seen them",
            field="model",
        )
