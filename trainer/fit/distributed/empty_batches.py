"""Batches without rows: of the last step, where it has fewer rows than there are processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from trainer.model.inputs import Batch

EMPTY = "empty"


def with_empty_batches(collate: Callable[[Sequence[Any]], Batch], examples: Any) -> Callable[[Sequence[Any]], Batch]:
    """No rows become the first one, marked: every process must compute a gradient, and that one counts nothing."""

    def collate_or_mark(rows: Sequence[Any]) -> Batch:
        return collate(rows) if rows else {**collate([examples[0]]), EMPTY: torch.tensor(True)}

    return collate_or_mark
