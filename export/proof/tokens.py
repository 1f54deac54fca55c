"""The tokenizer's lock: serving's tokenizer against transformers' own on thousands of generated hard strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from export.hard_inputs import as_items
from export.proof.hard_strings import CATEGORIES, hard_strings
from export.proof.reference import Reference
from serving.predictor import Predictor
from serving.tasks.base import Encoded, Task
from serving.tasks.generation import Generation

STRINGS = 10_000
SEED = 0
EXAMPLES = 5
ITEMS_AT_ONCE = 1000


@dataclass(frozen=True)
class TokenLock:
    """How many generated strings both sides cut into the same tokens, and the first ones on which they differ.

    ``compared`` is less than ``strings`` where the task refuses some, such as a question that fills a whole window.
    """

    strings: int
    seed: int
    categories: list[str]
    compared: int
    different: int
    examples: list[dict[str, Any]]


def lock_tokens(reference: Reference, predictor: Predictor, count: int = STRINGS, seed: int = SEED) -> TokenLock:
    """Tokenise generated strings on both sides: token ids, segment ids, and offsets where the task reads them."""
    items = as_items(predictor.task, reference.tokenizer, hard_strings(count, seed))
    different, examples = 0, []
    for start in range(0, len(items), ITEMS_AT_ONCE):
        for theirs, ours in _pairs(reference, predictor, items[start : start + ITEMS_AT_ONCE]):
            if not same_tokens(predictor.task, ours, theirs):
                different += 1
                examples.append(_example(ours, theirs))
    return TokenLock(count, seed, list(CATEGORIES), len(items), different, examples[:EXAMPLES])


def same_tokens(task: Task, ours: Encoded, theirs: Encoded) -> bool:
    """Whether both sides cut an item into the same windows of the same tokens."""
    return _facts(task, ours) == _facts(task, theirs)


def _pairs(reference: Reference, predictor: Predictor, items: Sequence[Any]) -> Iterator[tuple[Encoded, Encoded]]:
    return zip(reference.encode(items), predictor.encode(items), strict=True)


def _facts(task: Task, encoded: Encoded) -> list[tuple[Any, ...]]:
    return [(window.ids, *_more(task, window)) for window in encoded.windows]


def _more(task: Task, window: Any) -> tuple[Any, ...]:
    if isinstance(task, Generation):  # a prompt to continue is token ids and no more
        return ()
    return (window.type_ids, window.attention_mask, window.offsets if task.needs_offsets else None)


def _example(ours: Encoded, theirs: Encoded) -> dict[str, Any]:
    return {
        "inputs": ascii(ours.item)[:200],
        "reference": [window.ids[:32] for window in theirs.windows[:1]],
        "served": [window.ids[:32] for window in ours.windows[:1]],
    }
