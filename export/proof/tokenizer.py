"""The tokenizer's lock: serving's tokenizer against transformers' own on thousands of generated hard strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from export.proof import hard_strings
from export.proof.hard_strings import CATEGORIES, SEED
from export.proof.reference_answers import ReferenceAnswers
from serving.inference.predictor import Predictor
from serving.tasks.base import Encoded, Task
from serving.tasks.generation import Generation

EXAMPLES = 5


@dataclass(frozen=True)
class TokenizerComparison:
    """How many generated strings both sides cut into the same tokens, and the first ones on which they differ.

    ``compared`` is less than ``strings`` where the task refuses some, such as a question that fills a whole window.
    """

    strings: int
    seed: int
    categories: list[str]
    compared: int
    different: int
    examples: list[dict[str, Any]]


def compare_tokenizers(expected: ReferenceAnswers, predictor: Predictor) -> TokenizerComparison:
    """Tokenise the generated strings as serving does, and compare with the reference's tokens."""
    theirs = expected.strings
    ours = predictor.encode([each.item for each in theirs])
    pairs = zip(ours, theirs, strict=True)
    different = [(mine, its) for mine, its in pairs if not same_tokens(predictor.task, mine, its)]
    examples = [_example(*pair) for pair in different[:EXAMPLES]]
    return TokenizerComparison(hard_strings.STRINGS, SEED, list(CATEGORIES), len(theirs), len(different), examples)


def _example(ours: Encoded, theirs: Encoded) -> dict[str, Any]:
    return {
        "inputs": ascii(ours.item)[:200],
        "reference": [window.ids[:32] for window in theirs.windows[:1]],
        "served": [window.ids[:32] for window in ours.windows[:1]],
    }


def same_tokens(task: Task, ours: Encoded, theirs: Encoded) -> bool:
    """Whether both sides cut an item into the same windows of the same tokens."""
    return _facts(task, ours) == _facts(task, theirs)


def _facts(task: Task, encoded: Encoded) -> list[tuple[Any, ...]]:
    return [(window.ids, *_more(task, window)) for window in encoded.windows]


def _more(task: Task, window: Any) -> tuple[Any, ...]:
    if isinstance(task, Generation):  # a prompt to continue is token ids and no more
        return ()
    return (window.type_ids, window.attention_mask, window.offsets if task.needs_offsets else None)
