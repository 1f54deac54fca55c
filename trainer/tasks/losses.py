"""The losses that several tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, nll_loss

from serving.errors import InputError


def class_weights(
    choice: Literal["balanced"] | Mapping[str, float] | None, labels: Sequence[str], counts: Mapping[str, int]
) -> Tensor | None:
    """[labels]; raises InputError for a name that is no label.

    ``balanced`` is rows / (labels * rows of the label), as in scikit-learn; labels that a mapping leaves out weigh 1.
    """
    if choice is None:
        return None
    if choice == "balanced":
        total = sum(counts.values())
        return torch.tensor([total / (len(labels) * max(counts.get(label, 0), 1)) for label in labels])
    if unknown := sorted(set(choice) - set(labels)):
        raise InputError(
            f"model_head.class_weights: {unknown[0]!r} is no label; labels are: {', '.join(labels[:20])}",
            field="model_head.class_weights",
        )
    return torch.tensor([float(choice.get(label, 1.0)) for label in labels])


def softmax_loss(
    logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, weight: Tensor | None = None, gamma: float | None = None
) -> Tensor:
    """Summed cross-entropy of logits [n, labels] and numbers [n]; -100 is ignored.

    ``gamma`` makes it the focal loss, (1 - p)^gamma times the cross-entropy (Lin et al. 2017, equation 4).
    """
    weight = None if weight is None else weight.to(logits)
    if gamma is None:
        return cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing, reduction="sum")
    log_probabilities = log_softmax(logits, dim=-1)
    losses = nll_loss(log_probabilities, labels, weight=weight, reduction="none")
    p = log_probabilities.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1).exp()
    return ((1 - p) ** gamma * losses).sum()


def sigmoid_loss(logits: Tensor, labels: Tensor, *, weight: Tensor | None = None, gamma: float | None = None) -> Tensor:
    """Summed binary cross-entropy; ``weight`` multiplies that of positive labels, ``gamma`` is as in `softmax_loss`."""
    weight = None if weight is None else weight.to(logits)
    losses = binary_cross_entropy_with_logits(logits, labels, pos_weight=weight, reduction="none")
    if gamma is None:
        return losses.sum()
    p = torch.sigmoid(logits) * labels + torch.sigmoid(-logits) * (1 - labels)
    return ((1 - p) ** gamma * losses).sum()
