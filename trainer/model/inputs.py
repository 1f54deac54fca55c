"""Texts as token windows: encoded once, padded a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Side, Task

Batch = dict[str, Tensor]
T = TypeVar("T")

IGNORED = -100
"""The label that torch's and transformers' losses leave out."""

_ENCODED_AT_ONCE = 1000
_LONG = 4
"""Characters a token, from which a text counts as long."""


@dataclass(frozen=True)
class TokenWindow:
    """In the shape of a tokenizer's encoding without padding; ``segments`` are the ``type_ids``, empty for zeros."""

    ids: list[int]
    segments: list[int] = field(default_factory=list)

    @property
    def attention_mask(self) -> list[int]:
        return [1] * len(self.ids)

    @property
    def type_ids(self) -> list[int]:
        return self.segments or [0] * len(self.ids)


def encode(
    tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any], side: Side | None = None
) -> list[Encoded]:
    """Windows by transformers' tokenizer, truncated to its ``model_max_length``, not padded.

    ``side``, the task's own by default, loses what is too long.
    """
    encoded: list[Encoded] = []
    for part in cut(items, _ENCODED_AT_ONCE):
        encodings = _tokenize(tokenizer, task, part, side)
        pairs = zip(part, encodings, strict=True)
        encoded += [Encoded(item, task.windows(each), task.truncates(each)) for item, each in pairs]
    return encoded


def _tokenize(
    tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any], side: Side | None
) -> list[Encoding]:
    segments = [_raw_texts(task, item) for item in items]
    tokenizer.truncation_side = side or task.truncation_side
    if task.is_pair:
        segments = [_shorten_pair(tokenizer, pair) for pair in segments]
    texts = [each if isinstance(each, str) else each[0] for each in segments]
    pairs = None if isinstance(segments[0], str) else [each[1] for each in segments]
    encodings: list[Encoding] = tokenizer(
        texts, pairs, truncation=task.truncation, stride=task.stride, max_length=tokenizer.model_max_length
    ).encodings
    return encodings


def _raw_texts(task: Task, item: Any) -> Any:
    """Not by the task's own ``segments``: the proof's reference reads the texts as they were sent."""
    return getattr(task.settings, "prefix", "") + item if isinstance(item, str) else tuple(item)


def _shorten_pair(tokenizer: PreTrainedTokenizerFast, pair: Any) -> tuple[str, str]:
    """Two long texts as the parts that have all tokens that truncation can keep; the longer text stays the longer.

    transformers' time and memory of truncating a pair grow with the product of both lengths.
    """
    most = tokenizer.model_max_length
    if min(map(len, pair)) <= _LONG * most:
        return tuple(pair)
    lengths = [len(_encode_whole(tokenizer, text).ids) for text in pair]
    parts, shorter = list(pair), int(lengths[1] < lengths[0])
    parts[shorter] = _shorten(tokenizer, pair[shorter], most)
    length = len(_encode_whole(tokenizer, parts[shorter]).ids)
    equal = lengths[0] == lengths[1]
    parts[1 - shorter] = _shorten(tokenizer, pair[1 - shorter], most if equal else max(most, length))
    if equal and length != len(_encode_whole(tokenizer, parts[1 - shorter]).ids):
        return tuple(pair)
    return parts[0], parts[1]


def _shorten(tokenizer: PreTrainedTokenizerFast, text: str, most: int) -> str:
    """The beginning with the text's first ``most`` tokens and some more, or the end with its last."""
    whole, right = _encode_whole(tokenizer, text), tokenizer.truncation_side == "right"
    ids, offsets, kept = whole.ids, whole.offsets, slice(most) if right else slice(-most, None)
    width = 2 * most
    while width < len(ids):
        part = text[: offsets[width][1]] if right else text[offsets[-width][0] :]
        found = _encode_whole(tokenizer, part).ids
        if len(found) > most and found[kept] == ids[kept]:
            return part
        width *= 2
    return text


def _encode_whole(tokenizer: PreTrainedTokenizerFast, text: str) -> Encoding:
    encoding: Encoding = tokenizer([text], add_special_tokens=False, verbose=False).encodings[0]
    return encoding


def padder(tokenizer: PreTrainedTokenizerFast) -> Callable[[Sequence[Any]], Batch]:
    """Makes the model's inputs, each [windows, tokens of the longest], of encodings or `TokenWindow`.

    As tokenizer.pad does, in a fifth of its time: a step waits for it.
    """
    columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    names = [name for name in columns if name in tokenizer.model_input_names]

    def pad(windows: Sequence[Any]) -> Batch:
        fillers = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
        lists = {name: [getattr(window, columns[name]) for window in windows] for name in names}
        return {name: _pad_lists(lists[name], fillers.get(name, 0), tokenizer.padding_side) for name in names}

    return pad


def _pad_lists(lists: Sequence[Sequence[int]], filler: int, side: str) -> Tensor:
    longest = max(map(len, lists))
    padded = np.full((len(lists), longest), filler)
    for row, values in zip(padded, lists, strict=True):
        row[slice(len(values)) if side == "right" else slice(longest - len(values), None)] = values
    return torch.from_numpy(padded)


def longest_first(lengths: Sequence[int], size: int, most_tokens: int | None = None) -> Iterator[list[int]]:
    """Batches of indices; a batch too large for memory fails at once.

    One has at most ``most_tokens``, padding included, unless a lone row has more.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        rows = size if most_tokens is None else min(size, max(1, most_tokens // longest))
        yield order[start : start + rows]
        start += rows


def cut(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
