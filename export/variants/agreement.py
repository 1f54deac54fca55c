"""How many of a variant's answers must be the checkpoint's for it to be chosen."""

from __future__ import annotations

from export.proof.judge import Judgement
from export.proof.parity import Parity

AGREEMENT = 0.99
"""Share of the inputs that must be answered as the checkpoint answers them; of few inputs one may always differ."""


def agreement(found: Parity | Judgement) -> float:
    """The share of the inputs that are answered as the checkpoint answers them."""
    return found.answers_equal / found.compared


def agrees(found: Parity | Judgement) -> bool:
    """Whether enough inputs are answered as the checkpoint answers them."""
    return found.compared - found.answers_equal <= max(1, (1 - AGREEMENT) * found.compared)
