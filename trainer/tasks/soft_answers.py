"""What a teacher's logits say beyond the answer, how a student is compared with them, and their mean over teachers.

Losses are of each window, times the square of the temperature, so that gradients keep their size (Hinton et al. 2015,
"Distilling the Knowledge in a Neural Network").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div, log_softmax, logsigmoid, normalize, softmax

from trainer.model.inputs import IGNORED

Compare = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""From logits of student and teacher [windows, …], labels and a temperature to a loss of each window."""


@dataclass(frozen=True)
class SoftAnswers:
    """``mean``: from logits [teachers, …] to one."""

    loss: Compare
    mean: Callable[[Tensor], Tensor]


def softmax_divergence(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    return _divergence(student, teacher, temperature, -1).sum(dim=-1)


def token_divergence(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Of the tokens that have a label: a word is answered by its first one."""
    return (_divergence(student, teacher, temperature, -1).sum(dim=-1) * labels.ne(IGNORED)).sum(dim=-1)


def span_divergence(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Over the tokens, of start and end."""
    return _divergence(student, teacher, temperature, 1).sum(dim=(1, 2))


def sigmoid_divergence(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Of each logit by itself, summed."""
    ours, theirs = student / temperature, teacher / temperature
    yes = theirs.sigmoid() * (logsigmoid(theirs) - logsigmoid(ours))
    no = (-theirs).sigmoid() * (logsigmoid(-theirs) - logsigmoid(-ours))
    return (yes + no).sum(dim=-1) * temperature**2


def squared_difference(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """A number has no temperature."""
    return ((student - teacher) ** 2).sum(dim=-1)


def cosine_distance(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Of two vectors of a text; they have no temperature."""
    return 1 - cosine_similarity(student, teacher, dim=-1)


def _divergence(student: Tensor, teacher: Tensor, temperature: float, dim: int) -> Tensor:
    """Kullback-Leibler divergence, not summed."""
    ours, theirs = log_softmax(student / temperature, dim=dim), softmax(teacher / temperature, dim=dim)
    return kl_div(ours, theirs, reduction="none") * temperature**2


def _mean_probability(dim: int) -> Callable[[Tensor], Tensor]:
    return lambda logits: softmax(logits, dim=dim).mean(dim=0).clamp(min=1e-12).log()


def _mean_sigmoid(logits: Tensor) -> Tensor:
    return logits.sigmoid().mean(dim=0).logit(eps=1e-6)


def _mean_vector(vectors: Tensor) -> Tensor:
    return normalize(vectors, dim=-1).mean(dim=0)


ONE_OF_LABELS = SoftAnswers(softmax_divergence, _mean_probability(-1))
TAGS = SoftAnswers(token_divergence, _mean_probability(-1))
SPANS = SoftAnswers(span_divergence, _mean_probability(-2))
SEVERAL_LABELS = SoftAnswers(sigmoid_divergence, _mean_sigmoid)
NUMBERS = SoftAnswers(squared_difference, lambda numbers: numbers.mean(dim=0))
VECTORS = SoftAnswers(cosine_distance, _mean_vector)
