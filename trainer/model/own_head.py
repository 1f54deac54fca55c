"""A head of the user's own: a function that builds what turns each vector into logits (docs/extensions.md)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from serving.extensions.registry import find_extension

BuildHead = Callable[[int, int], nn.Module]
"""Width of a vector, number of logits → a module from [..., width] to [..., logits]."""

ROWS = 2
"""Of the vectors that a fresh head is tried with."""


def build_head(name: str, width: int, logits: int) -> nn.Module:
    """Drawn from torch's global generator; raises InputError unless it is such a module."""
    extension = find_extension("heads", name)
    if not callable(extension.value):
        raise extension.failure("is no function; give one of (width, logits)")
    try:
        head = extension.value(width, logits)
    except Exception as error:  # code of the user's own may raise anything
        raise extension.failure(f"failed for vectors of {width} and {logits} logits", error) from error
    if not isinstance(head, nn.Module):
        raise extension.failure(f"gave {type(head).__name__}; a torch.nn.Module is needed")
    for shape in ((ROWS, width), (ROWS, ROWS, width)):
        expected = (*shape[:-1], logits)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            try:
                found = head(torch.zeros(shape))
            except Exception as error:
                raise extension.failure(f"its module failed on vectors {[*shape]}", error) from error
        if getattr(found, "shape", None) != expected:
            raise extension.failure(
                f"its module gave {getattr(found, 'shape', type(found).__name__)} for vectors"
                f" {[*shape]}; {[*expected]} is needed"
            )
    return head
