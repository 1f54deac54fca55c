"""Rows as token batches: encoded once, padded a batch at a time, batches of examples of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Task

if TYPE_CHECKING:
    pass


Batch = dict[str, Tensor]

IGNORED = -100
"""The label of what counts for nothing, as torch's and transformers' losses have it."""

_ENCODED_AT_ONCE = 1000


def encode(tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any]) -> list[Encoded]:
    """The windows of each item, by transformers' own tokenizer, truncated to its ``model_max_length``, not padded."""
    encoded: list[Encoded] = []
    for start in range(0, len(items), _ENCODED_AT_ONCE):
        some = items[start : start + _ENCODED_AT_ONCE]
        encoded += [
            Encoded(item, task.windows(each))
            for item, each in zip(some, _tokenized(tokenizer, task, some), strict=True)
        ]
    return encoded


def _tokenized(tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any]) -> list[Encoding]:
    segments = [task.segments(item) for item in items]
    tokenizer.truncation_side = task.truncation_side
    texts = [each if isinstance(each, str) else each[0] for each in segments]
    pairs = None if isinstance(segments[0], str) else [each[1] for each in segments]
    encodings: list[Encoding] = tokenizer(
        texts, pairs, truncation=task.truncation, stride=task.stride, max_length=tokenizer.model_max_length
    ).encodings
    return encodings


def padded_by(tokenizer: PreTrainedTokenizerFast) -> Callable[[Sequence[Encoding]], Batch]:
    """What pads windows to the longest of them and keeps the inputs that the model takes, each [windows, tokens]."""

    def pad(windows: Sequence[Encoding]) -> Batch:
        # transformers advises against pad(); here texts are encoded once and padded many times
        tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        columns = {
            "input_ids": [window.ids for window in windows],
            "attention_mask": [window.attention_mask for window in windows],
            "token_type_ids": [window.type_ids for window in windows],
        }
        taken = {name: columns[name] for name in columns if name in tokenizer.model_input_names}
        return dict(tokenizer.pad(taken, return_tensors="pt"))

    return pad


def longest_first(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Batches of indices by falling length, so that a batch too large for memory fails at once."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return (list(part) for part in _cut(order, size))


def _cut(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (values[start : start + size] for start in range(0, len(values), size))
