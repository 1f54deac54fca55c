"""Training examples and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.model.inputs import IGNORED, Batch, cut, encode, padder
from trainer.tasks.base import Example, TrainingTask
from trainer.tasks.objective import Objective

_BATCHES_A_BUCKET = 50


class Examples(Dataset[Example]):
    """Of encoded rows; ``truncated`` is the share of rows that were cut."""

    def __init__(self, training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        items = [training_task.items(task, inputs) for inputs in rows.inputs]
        flat = iter(encode(tokenizer, task, [item for of_row in items for item in of_row]))
        self.encoded = [[next(flat) for _ in of_row] for of_row in items]
        self.examples = [
            example
            for encoded, target in zip(self.encoded, rows.targets, strict=True)
            for example in training_task.examples(task, encoded, target)
        ]
        truncated = sum(any(each.truncated for each in of_row) for of_row in self.encoded)
        self.truncated = truncated / max(len(rows), 1)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def lengths(self) -> list[int]:
        """Tokens of each longest window."""
        return [max(len(window.ids) for window in example.windows) for example in self.examples]


def collator(tokenizer: PreTrainedTokenizerFast, objective: Objective) -> Callable[[Sequence[Example]], Batch]:
    """Makes batches of padded windows and ``labels``; labels of tokens are padded by -100."""
    pad = padder(tokenizer)

    def collate(examples: Sequence[Example]) -> Batch:
        windows = [window for example in examples for window in example.windows]
        labels = _pad_labels([example.label for example in examples], tokenizer.padding_side)
        return objective.batch({**pad(windows), "labels": labels})

    return collate


def _pad_labels(labels: Sequence[Any], side: str) -> Tensor:
    if not isinstance(labels[0], list) or len({len(label) for label in labels}) == 1:
        return torch.tensor(labels)
    longest = max(map(len, labels))
    fillers = ([IGNORED] * (longest - len(label)) for label in labels)
    return torch.tensor(
        [label + filler if side == "right" else filler + label for label, filler in zip(labels, fillers, strict=True)]
    )


class LengthBucketSampler(Sampler[int]):
    """A shuffled order whose batches hold examples of similar length.

    Shuffled buckets of 50 batches are sorted by length and cut into batches, which are shuffled. The order depends on
    seed and epoch alone, so that a resumed run sees the same batches.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        batches = [
            batch
            for bucket in cut(order, self.batch_size * _BATCHES_A_BUCKET)
            for batch in cut(sorted(bucket, key=self.lengths.__getitem__), self.batch_size)
        ]
        partial = [batch for batch in batches if len(batch) < self.batch_size]
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        shuffled = torch.randperm(len(whole), generator=generator).tolist()
        # the short batch comes last: anywhere else it would shift every batch behind it
        yield from (index for batch in [*(whole[at] for at in shuffled), *partial] for index in batch)
