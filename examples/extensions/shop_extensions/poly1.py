"""A loss: PolyLoss (Leng et al. 2022), cross-entropy plus 1 - p. A recipe names it model_head.loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

EPSILON = 1.0


def poly1(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits [rows, labels] and class numbers [rows] → losses [rows]; Tuneship sums them."""
    p = softmax(logits, dim=-1).gather(1, labels[:, None])[:, 0]
    return cross_entropy(logits, labels, reduction="none") + EPSILON * (1 - p)
