"""Compares both sides' tokens of generated strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from export.proof.answers import hard_strings
from export.proof.answers.reference import ReferenceAnswers, run_in_batches
from export.proof.answers.stored_window import same_tokens
from serving.inference.predictor import Predictor
from serving.tasks.base import Encoded

EXAMPLES = 5


@dataclass(frozen=True)
class TokenizerComparison:
    """``compared`` excludes strings that the task refuses."""

    strings: int
    seed: int
    categories: list[str]
    compared: int
    different: int
    examples: list[dict[str, Any]]


def compare_tokenizers(reference: ReferenceAnswers, predictor: Predictor) -> TokenizerComparison:
    items, task = [each.item for each in reference.strings], predictor.task
    served, _ = run_in_batches("the tokenizer", task, predictor.encode, lambda encoded: [()] * len(encoded), items)
    pairs = zip(served, reference.strings, strict=True)
    different = [pair for pair in pairs if not same_tokens(predictor.task, *pair)]
    return TokenizerComparison(
        strings=hard_strings.STRINGS,
        seed=hard_strings.SEED,
        categories=list(hard_strings.CATEGORIES),
        compared=len(served),
        different=len(different),
        examples=[_describe_difference(*pair) for pair in different[:EXAMPLES]],
    )


def _describe_difference(served: Encoded, reference: Encoded) -> dict[str, Any]:
    return {
        "inputs": ascii(served.item)[:200],
        "reference": [window.ids[:32] for window in reference.windows[:1]],
        "served": [window.ids[:32] for window in served.windows[:1]],
    }
