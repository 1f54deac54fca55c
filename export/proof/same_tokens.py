"""What it means that two tokenizers cut an input into the same tokens."""

from __future__ import annotations

from typing import Any

from serving.tasks.base import Encoded, Task
from serving.tasks.generation import Generation


def same_tokens(task: Task, ours: Encoded, theirs: Encoded) -> bool:
    """Whether both sides cut an item into the same windows of the same tokens."""
    return _facts(task, ours) == _facts(task, theirs)


def _facts(task: Task, encoded: Encoded) -> list[tuple[Any, ...]]:
    return [(window.ids, *_more(task, window)) for window in encoded.windows]


def _more(task: Task, window: Any) -> tuple[Any, ...]:
    if isinstance(task, Generation):  # a prompt to continue is token ids and no more
        return ()
    return (window.type_ids, window.attention_mask, window.offsets if task.needs_offsets else None)
