"""Texts as token windows: encoded once, padded a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Task

Batch = dict[str, Tensor]
T = TypeVar("T")

IGNORED = -100
"""The label that torch's and transformers' losses leave out."""

_ENCODED_AT_ONCE = 1000


def encode(tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any]) -> list[Encoded]:
    """Windows by transformers' tokenizer, truncated to its ``model_max_length``, not padded."""
    encoded: list[Encoded] = []
    for part in cut(items, _ENCODED_AT_ONCE):
        encodings = _tokenize(tokenizer, task, part)
        encoded += [Encoded(item, task.windows(each)) for item, each in zip(part, encodings, strict=True)]
    return encoded


def _tokenize(tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any]) -> list[Encoding]:
    segments = [task.segments(item) for item in items]
    tokenizer.truncation_side = task.truncation_side
    texts = [each if isinstance(each, str) else each[0] for each in segments]
    pairs = None if isinstance(segments[0], str) else [each[1] for each in segments]
    encodings: list[Encoding] = tokenizer(
        texts, pairs, truncation=task.truncation, stride=task.stride, max_length=tokenizer.model_max_length
    ).encodings
    return encodings


def padder(tokenizer: PreTrainedTokenizerFast) -> Callable[[Sequence[Encoding]], Batch]:
    """Makes the model's inputs, each [windows, tokens of the longest]."""

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
    """Batches of indices; a batch too large for memory fails at once."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return (list(part) for part in cut(order, size))


def cut(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
