"""A teacher's vectors of texts, which its classifier reads: a student learns them beside the answers.

An answer of a few logits says little of what a text is; its vector has hundreds of numbers (compare the hidden states
of Sanh et al. 2019, "DistilBERT", and Jiao et al. 2020, "TinyBERT").
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Encoding
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Logits
from trainer.model.heads import PooledClassifier
from trainer.model.inference import logits_of


class _Vectors(nn.Module):
    """Gives vectors in place of logits."""

    def __init__(self, classifier: PooledClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        return {"logits": self.classifier.vectors(input_ids, attention_mask, token_type_ids)}


def vectors_of(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, windows: Sequence[Encoding], batch_size: int
) -> list[Logits]:
    """[width] of each window."""
    assert isinstance(model, PooledClassifier)
    return logits_of(_Vectors(model), tokenizer, windows, batch_size)  # type: ignore[arg-type]


class VectorTap:
    """The vectors of a classifier's last batch, with their gradients."""

    def __init__(self, model: nn.Module) -> None:
        assert isinstance(model, PooledClassifier)
        self.last: Tensor | None = None
        model.dropout.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.last = inputs[0]

    def take(self) -> Tensor:
        assert self.last is not None
        vectors, self.last = self.last, None
        return vectors.float()


def vector_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """[windows]: squared, relative to the mean squared length of the teacher's vectors [windows, width]."""
    return ((student - teacher) ** 2).sum(dim=-1) / (teacher**2).sum(dim=-1).mean().clamp(min=1e-12)
