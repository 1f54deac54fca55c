"""A text's logits from those of its windows, in a training step that the windows of a batch need not fit into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from serving.tasks.windows import Aggregation
from trainer.model.inputs import Batch

COUNTS = "window_counts"
"""In a batch: how many neighbouring windows each example has, [examples]."""

Forward = Callable[..., Any]


class MergingModel:
    """Gives logits [examples, labels] where ``model`` gives those of windows.

    At most ``at_once`` windows are in memory together, with what their gradients need; those before them are computed
    again for the backward pass (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    """

    def __init__(self, model: Forward, counts: Tensor, how: Aggregation, at_once: int) -> None:
        self._model, self._counts, self._how, self._at_once = model, counts.tolist(), how, at_once

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        parts = _split(inputs, self._at_once)
        before = [checkpoint(self._logits, part, use_reentrant=False) for part in parts[:-1]]
        logits = torch.cat([*before, self._logits(parts[-1])])
        return {"logits": merge(logits, self._counts, self._how)}

    def _logits(self, inputs: Batch) -> Tensor:
        logits: Tensor = self._model(**inputs)["logits"]
        return logits.float()


def merging(model: Forward, batch: dict[str, Any], how: Aggregation | None, at_once: int) -> Forward:
    """``model`` itself, or of a batch of texts in windows, whose COUNTS are removed, one that merges them."""
    counts = batch.pop(COUNTS, None)
    return model if counts is None or how is None else MergingModel(model, counts, how, at_once)


def merge(logits: Tensor, counts: list[int], how: Aggregation) -> Tensor:
    """[examples, labels] of [windows, labels]."""
    parts = torch.split(logits, counts)
    return torch.stack([part.mean(dim=0) if how == "mean" else part.amax(dim=0) for part in parts])


def _split(inputs: Batch, size: int) -> list[Batch]:
    """The rest first: only the last part is never computed again."""
    windows = len(inputs["input_ids"])
    sizes = [*([windows % size] if windows % size else []), *[size] * (windows // size)]
    columns = {name: torch.split(value, sizes) for name, value in inputs.items()}
    return [{name: values[at] for name, values in columns.items()} for at in range(len(sizes))]
