"""Rows as token batches: encoded once, padded a batch at a time, batches of examples of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Encoding
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Task
from trainer.rows import Rows

if TYPE_CHECKING:
    from trainer.tasks.base import Example, Learning

Batch = dict[str, Tensor]

IGNORED = -100
"""The label of what counts for nothing, as torch's and transformers' losses have it."""

_ENCODED_AT_ONCE = 1000
_BATCHES_A_BUCKET = 50


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


class Examples(Dataset["Example"]):
    """What training sees of rows; ``truncated`` is the share of texts that were cut."""

    def __init__(self, learning: Learning, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        items = [learning.items(task, inputs) for inputs in rows.inputs]
        flat = iter(encode(tokenizer, task, [item for some in items for item in some]))
        self.encoded = [[next(flat) for _ in some] for some in items]
        self.examples = [
            example
            for encoded, target in zip(self.encoded, rows.targets, strict=True)
            for example in learning.examples(task, encoded, target)
        ]
        cut = 0 if task.slides else sum(any(each.windows[0].overflowing for each in some) for some in self.encoded)
        self.truncated = cut / max(len(rows), 1)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def lengths(self) -> list[int]:
        """Tokens of each example's longest window."""
        return [max(len(window.ids) for window in example.windows) for example in self.examples]


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


def collated_by(tokenizer: PreTrainedTokenizerFast, learning: Learning) -> Callable[[Sequence[Example]], Batch]:
    """A collator for examples: windows padded, and ``labels`` beside them, padded by -100 where they are a token's."""
    pad = padded_by(tokenizer)

    def collate(examples: Sequence[Example]) -> Batch:
        windows = [window for example in examples for window in example.windows]
        labels = _labels([example.label for example in examples], tokenizer.padding_side)
        return learning.batch({**pad(windows), "labels": labels})

    return collate


def _labels(labels: Sequence[Any], side: str) -> Tensor:
    if not isinstance(labels[0], list) or len({len(label) for label in labels}) == 1:
        return torch.tensor(labels)
    longest = max(map(len, labels))
    fillers = ([IGNORED] * (longest - len(label)) for label in labels)
    return torch.tensor(
        [label + filler if side == "right" else filler + label for label, filler in zip(labels, fillers, strict=True)]
    )


class LengthBucketSampler(Sampler[int]):
    """A shuffled order in which each run of ``batch_size`` examples has about one length.

    The examples are shuffled, cut into buckets of 50 batches, each bucket sorted by length and cut into
    batches, and the batches shuffled. The order depends on seed and epoch alone, so that a resumed run sees
    the same batches and evaluation cannot change them.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        batches = [
            batch
            for bucket in _cut(order, self.batch_size * _BATCHES_A_BUCKET)
            for batch in _cut(sorted(bucket, key=self.lengths.__getitem__), self.batch_size)
        ]
        partial = [batch for batch in batches if len(batch) < self.batch_size]
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        shuffled = torch.randperm(len(whole), generator=generator).tolist()
        # the one short batch comes last: anywhere else it would shift every batch behind it
        yield from (index for batch in [*(whole[at] for at in shuffled), *partial] for index in batch)


def longest_first(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Batches of indices by falling length, so that a batch too large for memory fails at once."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return (list(part) for part in _cut(order, size))


def _cut(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (values[start : start + size] for start in range(0, len(values), size))
