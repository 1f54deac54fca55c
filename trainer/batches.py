"""Texts as token batches: encoded once, padded a batch at a time, batches of texts of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerFast

Feature = dict[str, Any]

_ENCODED_AT_ONCE = 1000
_BATCHES_A_BUCKET = 50


class EncodedTexts(Dataset[Feature]):
    """Token ids and a label number for each text; ``truncated`` is the share of texts that were cut."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], labels: Sequence[int], max_length: int
    ) -> None:
        self.features: list[Feature] = []
        self.labels = labels
        cut = 0
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            some = list(texts[start : start + _ENCODED_AT_ONCE])
            part = tokenizer(some, truncation=True, max_length=max_length)
            cut += sum(bool(encoding.overflowing) for encoding in part.encodings or [])
            self.features += [{key: part[key][at] for key in part} for at in range(len(part["input_ids"]))]
        self.truncated = cut / max(len(texts), 1)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> Feature:
        return {**self.features[index], "labels": self.labels[index]}

    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(feature["input_ids"]) for feature in self.features]


def padded_by(tokenizer: PreTrainedTokenizerFast) -> Callable[[list[Feature]], dict[str, Tensor]]:
    """A collator that pads a batch to its longest text."""

    def collate(features: list[Feature]) -> dict[str, Tensor]:
        # transformers advises against pad(); here texts are encoded once and padded many times
        tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        return dict(tokenizer.pad(features, return_tensors="pt"))

    return collate


class LengthBucketSampler(Sampler[int]):
    """A shuffled order in which each run of ``batch_size`` texts has about one length.

    The rows are shuffled, cut into buckets of 50 batches, each bucket sorted by length and cut into
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


class LongestFirst(Sampler[int]):
    """Evaluation order: by length, longest first, so that a batch too large for memory fails at once."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(range(len(self.lengths)), key=lambda index: -self.lengths[index]))


def _cut(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (values[start : start + size] for start in range(0, len(values), size))
