"""A loss of the user's own: a function of logits and labels (docs/extensions.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from serving.extensions.extension import Extension
from serving.extensions.registry import find_extension
from trainer.model.inputs import IGNORED
from trainer.recipe.applicability import LOSS_NAMES

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Logits [n, labels] and class numbers [n] or numbers [n, labels] → losses [n], or [n, labels]."""


@dataclass(frozen=True)
class OwnLoss:
    extension: Extension
    function: LossFunction

    @classmethod
    def open(cls, name: str) -> Self:
        """Raises InputError."""
        extension = find_extension("losses", name, LOSS_NAMES)
        if not callable(extension.value):
            raise extension.failure("is no function; give one of (logits, labels)")
        return cls(extension, extension.value)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over all labels but -100; raises InputError unless the function gives a loss for each.

        Class numbers [n], or [windows, tokens], are given without those that are ignored; numbers as they are.
        """
        if not labels.is_floating_point() and labels.ndim < logits.ndim:
            logits, labels = logits.flatten(0, -2), labels.flatten()
            kept = labels != IGNORED
            logits, labels = logits[kept], labels[kept]
        else:
            labels = labels.to(logits.dtype)
        if not len(labels):
            return logits.sum() * 0.0
        losses = self._call(logits, labels)
        if not isinstance(losses, Tensor) or losses.shape[:1] != labels.shape[:1]:
            found = f"a tensor of shape {[*losses.shape]}" if isinstance(losses, Tensor) else type(losses).__name__
            raise self.extension.failure(
                f"gave {found} for {len(labels)} labels; a loss for each is needed, without a mean or a sum"
            )
        return losses.sum()

    def _call(self, logits: Tensor, labels: Tensor) -> Tensor:
        try:
            return self.function(logits, labels)
        except Exception as error:  # code of the user's own may raise anything
            shapes = f"logits {[*logits.shape]} and labels {[*labels.shape]}"
            raise self.extension.failure(f"failed on {shapes}", error) from error
