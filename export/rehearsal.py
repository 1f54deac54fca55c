"""What no test covers is converted once before it is trained: a base model's family, a head of the user's own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from serving.errors import InputError
from trainer.model.architecture import TESTED
from trainer.model.checkpoint import Checkpoint, build_model
from trainer.model.heads import GENERATING
from trainer.setup.training_setup import TrainingSetup

TOLERANCE = 1e-3
"""Largest accepted change of a logit by padding, as a share of the largest logit."""

SHORT, LONG = "a text", "a text beside it that has some more words, so that the first one is padded"


def rehearse(setup: TrainingSetup) -> None:
    """Raise InputError if padding changes the model's answers, or no graph gives them."""
    if setup.base.config.model_type in TESTED and not setup.model_spec.classifier:
        return
    model = build_model(setup.base, setup.model_spec, setup.splits.labels, attn_implementation="eager").eval()
    checkpoint = Checkpoint(model, setup.tokenizer, setup.task, setup.model_spec, setup.tokenizer.model_max_length)
    rehearse_checkpoint(checkpoint, setup.base.id)


def rehearse_checkpoint(checkpoint: Checkpoint, name: str) -> None:
    """The same of a model that is there already."""
    if checkpoint.model.config.model_type in TESTED and not checkpoint.model_spec.classifier:
        return
    if checkpoint.model_spec.head not in GENERATING:
        _check_padding(checkpoint, name)
    from export.graphs.convert import write_graphs  # most base models need no torch.onnx here: a second of imports

    with tempfile.TemporaryDirectory() as folder:
        write_graphs(checkpoint, Path(folder))


@torch.no_grad()
def _check_padding(checkpoint: Checkpoint, name: str) -> None:
    alone, beside = (checkpoint.tokenizer(each, padding=True, return_tensors="pt") for each in ([SHORT], [SHORT, LONG]))
    expected = checkpoint.model(**alone)["logits"][0]
    padded = checkpoint.model(**beside)["logits"][0]
    found = padded[: len(expected)] if expected.ndim == 2 else padded
    change = float((found - expected).abs().max())
    if not change <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise InputError(
            f"model: {name}: padding changes its answers (a logit by {change:.2g}), so that one text's answer would"
            " depend on the texts beside it; choose another base model",
            field="model",
        )
