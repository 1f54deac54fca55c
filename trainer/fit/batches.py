"""Rows as token batches: encoded once, padded a batch at a time, batches of examples of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.model.inputs import IGNORED, Batch, _cut, encode, padded_by

if TYPE_CHECKING:
    from trainer.tasks.base import Example, TrainingTask

_BATCHES_A_BUCKET = 50


class Examples(Dataset["Example"]):
    """What training sees of rows; ``truncated`` is the share of texts that were cut."""

    def __init__(self, training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        items = [training_task.items(task, inputs) for inputs in rows.inputs]
        flat = iter(encode(tokenizer, task, [item for some in items for item in some]))
        self.encoded = [[next(flat) for _ in some] for some in items]
        self.examples = [
            example
            for encoded, target in zip(self.encoded, rows.targets, strict=True)
            for example in training_task.examples(task, encoded, target)
        ]
        cut = (
            0 if task.uses_windows else sum(any(each.windows[0].overflowing for each in some) for some in self.encoded)
        )
        self.truncated = cut / max(len(rows), 1)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def lengths(self) -> list[int]:
        """Tokens of each example's longest window."""
        return [max(len(window.ids) for window in example.windows) for example in self.examples]


def collated_by(
    tokenizer: PreTrainedTokenizerFast, training_task: TrainingTask
) -> Callable[[Sequence[Example]], Batch]:
    """A collator for examples: windows padded, and ``labels`` beside them, padded by -100 where they are a token's."""
    pad = padded_by(tokenizer)

    def collate(examples: Sequence[Example]) -> Batch:
        windows = [window for example in examples for window in example.windows]
        labels = _labels([example.label for example in examples], tokenizer.padding_side)
        return training_task.batch({**pad(windows), "labels": labels})

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
