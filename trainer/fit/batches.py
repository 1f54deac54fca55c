"""Training examples and their batches."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.fit.encoding import encode_blocks
from trainer.fit.number_lists import INTEGER, SMALL, Labels, NumberLists
from trainer.fit.window_merging import COUNTS
from trainer.model.inputs import IGNORED, Batch, TokenWindow, padder
from trainer.tasks.base import Example, TrainingTask
from trainer.tasks.objective import Objective

Places = NDArray[np.int32]
_SMALL_IDS = 2**16
_SEGMENT = "B"
_BATCHES_A_BUCKET = 50


class Examples(Dataset[Example]):
    """Of encoded rows, as flat arrays.

    ``truncated`` is the share of rows that were cut, ``counts`` are the examples of each row.
    """

    def __init__(self, training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        small = max(tokenizer.get_vocab().values()) < _SMALL_IDS
        self._tokens, self._segments = NumberLists(SMALL if small else INTEGER), NumberLists(_SEGMENT)
        self._windows, self._labels = array("i", [0]), Labels()
        self._segmented = False
        self.counts, truncated = array("i"), 0
        for block in encode_blocks(training_task, task, tokenizer, rows):
            for encoded, target in zip(block.by_row(), block.rows.targets, strict=True):
                truncated += any(each.truncated for each in encoded)
                before = len(self)
                for example in training_task.examples(task, encoded, target):
                    self._append(example)
                self.counts.append(len(self) - before)
        self.rows = rows
        self._length_of = max if training_task.aggregation is None else sum
        self.truncated = truncated / max(len(rows), 1)
        if not self._segmented:
            self._segments = NumberLists(_SEGMENT)

    def _append(self, example: Example) -> None:
        for window in example.windows:
            self._tokens.append(window.ids)
            self._segments.append(window.type_ids)
            self._segmented = self._segmented or any(window.type_ids)
        self._windows.append(len(self._tokens))
        self._labels.append(example.label)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Example:
        return Example(tuple(map(self._window, self._places(index))), self._labels[index])

    def __iter__(self) -> Iterator[Example]:
        return map(self.__getitem__, range(len(self)))

    def _window(self, place: int) -> TokenWindow:
        return TokenWindow(self._tokens[place], self._segments[place] if self._segmented else [])

    def _places(self, index: int) -> range:
        return range(self._windows[index], self._windows[index + 1])

    def lengths(self) -> array[int]:
        """Tokens of each longest window; of examples in any number of windows, of all of them."""
        lengths = (map(self._tokens.length, self._places(index)) for index in range(len(self)))
        return array("i", map(self._length_of, lengths))

    def most_windows(self) -> int:
        """Of an example."""
        return max((len(self._places(index)) for index in range(len(self))), default=0)

    @property
    def nbytes(self) -> int:
        """Of all arrays."""
        parts = self._tokens.nbytes, self._segments.nbytes, self._labels.nbytes
        return sum(parts) + len(self._windows) * self._windows.itemsize


def collator(tokenizer: PreTrainedTokenizerFast, objective: Objective) -> Callable[[Sequence[Example]], Batch]:
    """Makes batches of padded windows and ``labels``; labels of tokens are padded by -100."""
    pad = padder(tokenizer)

    def collate(examples: Sequence[Example]) -> Batch:
        windows = [window for example in examples for window in example.windows]
        labels = pad_labels([example.label for example in examples], tokenizer.padding_side)
        batch = objective.batch({**pad(windows), "labels": labels})
        if objective.aggregation is None:
            return batch
        return {**batch, COUNTS: torch.tensor([len(example.windows) for example in examples])}

    return collate


def pad_labels(labels: Sequence[Any], side: str) -> Tensor:
    """Those that are lists are padded by -100."""
    if not isinstance(labels[0], list) or len({len(label) for label in labels}) == 1:
        return torch.tensor(labels)
    longest = max(map(len, labels))
    fillers = ([IGNORED] * (longest - len(label)) for label in labels)
    return torch.tensor(
        [label + filler if side == "right" else filler + label for label, filler in zip(labels, fillers, strict=True)]
    )


class StreamedLengths(Sequence[int]):
    """Tokens of examples that are measured when they are asked for: 2 bytes each.

    ``measure`` gives the lengths at some places.
    """

    def __init__(self, count: int, measure: Callable[[Places], Sequence[int]]) -> None:
        self._known = np.zeros(count, dtype=np.uint16)
        self._measure = measure

    def __len__(self) -> int:
        return len(self._known)

    def __getitem__(self, places: Any) -> Any:
        """Of a place, or of an array of them."""
        if isinstance(places, int):
            return int(self[np.array([places])][0])
        unknown = places[self._known[places] == 0]
        if len(unknown):
            self._known[unknown] = self._measure(unknown)
        return self._known[places]


class BatchOrder(Sampler[int]):
    """A shuffled order of ``count`` examples, in which batches lie one behind another.

    It depends on seed and epoch alone, so that a resumed run sees the same batches.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count = count
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def generator(self) -> torch.Generator:
        """Of the epoch."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)


class LengthBucketSampler(BatchOrder):
    """Batches hold examples of similar length.

    Shuffled buckets of 50 batches are sorted by length and cut into batches, which are shuffled. Lengths are asked for
    a bucket at a time.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        super().__init__(len(lengths), batch_size, seed)
        self._lengths: Any = lengths if isinstance(lengths, StreamedLengths) else np.asarray(lengths)

    def __iter__(self) -> Iterator[int]:
        generator = self.generator()
        order = torch.randperm(len(self), generator=generator).numpy().astype(np.int32)
        whole, rest = divmod(len(order), self.batch_size)
        for batch in torch.randperm(whole, generator=generator).tolist():
            yield from self._batch(order, batch)
        # the short batch comes last: anywhere else it would shift every batch behind it
        if rest:
            yield from self._batch(order, whole)

    def _batch(self, order: Places, number: int) -> list[int]:
        """Of all batches in the order before they are shuffled."""
        bucket, place = divmod(number, _BATCHES_A_BUCKET)
        size = self.batch_size * _BATCHES_A_BUCKET
        rows = order[bucket * size : (bucket + 1) * size]
        by_length = rows[np.argsort(self._lengths[rows], kind="stable")]
        batch: list[int] = by_length[place * self.batch_size : (place + 1) * self.batch_size].tolist()
        return batch
