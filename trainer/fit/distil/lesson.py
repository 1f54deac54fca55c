"""What a student learns from: training examples with the teachers' logits, computed once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import Dataset

from serving.files import replace_file
from serving.tasks.base import Logits, Task
from trainer.fit.batches import Examples
from trainer.fit.distil.pooled_vectors import vectors_of
from trainer.fit.distil.static_student import token_vectors
from trainer.fit.encoding import ROWS_AT_ONCE, encode_blocks
from trainer.fit.validation import Datasets
from trainer.model.architecture import is_static
from trainer.model.checkpoint import Checkpoint
from trainer.model.device import best_device
from trainer.model.inference import logits_of
from trainer.setup.teachers import KEY, Teacher
from trainer.setup.training_setup import TrainingSetup
from trainer.tasks.base import Example

FILE, VECTORS_FILE = "teacher.safetensors", "teacher-vectors.safetensors"


@dataclass(frozen=True)
class TaughtExample(Example):
    """``labelled``: the label counts.

    Attributes:
        teacher: logits of each window, or of the text.
        vectors: the first teacher's, if any.
    """

    teacher: tuple[Tensor, ...]
    labelled: bool
    vectors: tuple[Tensor, ...] = ()


class TaughtExamples(Dataset[Example]):
    """The training rows', then those of rows without labels."""

    def __init__(
        self, parts: Sequence[Examples], logits: Sequence[Tensor], vectors: Sequence[Tensor] = (), *, merged: bool
    ) -> None:
        """``merged``: the logits are of texts, not of windows."""
        self.parts = parts
        self._logits, self._vectors = logits, vectors
        counts = (1 if merged else len(example.windows) for part in parts for example in part)
        self._first_windows = [0, *accumulate(counts)]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> TaughtExample:
        place, labelled = index, True
        for part in self.parts:
            if place < len(part):
                break
            place, labelled = place - len(part), False
        example, windows = part[place], slice(*self._first_windows[index : index + 2])
        logits, vectors = tuple(self._logits[windows]), tuple(self._vectors[windows])
        return TaughtExample(example.windows, example.label, logits, labelled, vectors)

    def lengths(self) -> list[int]:
        return [length for part in self.parts for length in part.lengths()]


def teach(setup: TrainingSetup, datasets: Datasets, state: Path, console: Console) -> Datasets:
    """With the teachers' logits beside the training examples; a resumed run finds them in ``state``."""
    assert isinstance(datasets.train, Examples)
    parts = [datasets.train, *_unlabelled_examples(setup, datasets)]
    digest = _digest(setup.teachers, parts)
    logits = _read(state / FILE, digest)
    if logits is None:
        names = ", ".join(each.run.root.name for each in setup.teachers)
        console.print(f"computing the answers of {names} to {sum(map(len, parts)):,} examples…", highlight=False)
        logits = _mean_logits(setup, datasets.task, parts)
        _write(state / FILE, digest, logits)
    merged, vectors = setup.training_task.aggregation is not None, _read_vectors(setup, parts, state, digest)
    datasets = replace(datasets, train=TaughtExamples(parts, logits, vectors, merged=merged))
    if not is_static(setup.base.config):
        return datasets
    return replace(datasets, token_vectors=token_vectors(setup, datasets, state, console))


def _read_vectors(setup: TrainingSetup, parts: Sequence[Examples], state: Path, digest: str) -> Sequence[Tensor]:
    """Of each window by the first teacher, where the recipe weighs them; computed once."""
    if not setup.recipe.distil or not setup.recipe.distil.vector_weight:
        return ()
    vectors = _read(state / VECTORS_FILE, digest)
    if vectors is None:
        vectors = list(_run_teacher(setup, setup.teachers[0], parts, vectors_of))
        _write(state / VECTORS_FILE, digest, vectors)
    return vectors


def _unlabelled_examples(setup: TrainingSetup, datasets: Datasets) -> Iterator[Examples]:
    """With the first training row's label, which does not count."""
    if setup.unlabelled:
        rows = setup.unlabelled.rows
        rows = replace(rows, targets=list(setup.splits.train.targets[:1]) * len(rows))
        yield Examples(setup.training_task, datasets.task, setup.tokenizer, rows)


def _mean_logits(setup: TrainingSetup, task: Task, parts: Sequence[Examples]) -> list[Tensor]:
    """Of each window or text, in the student's order of labels and its unit."""
    every = [_teacher_logits(setup, task, teacher, parts) for teacher in setup.teachers]
    soft = setup.training_task.soft_answers()
    assert soft is not None
    return every[0] if len(every) == 1 else [soft.mean(torch.stack(each)) for each in zip(*every, strict=True)]


def _teacher_logits(setup: TrainingSetup, task: Task, teacher: Teacher, parts: Sequence[Examples]) -> list[Tensor]:
    order, (mean, std), (our_mean, our_std) = _columns(teacher.task, task), teacher.task.unit, task.unit
    found = _run_teacher(setup, teacher, parts, logits_of)
    return [(each[..., order] if order else each) * (std / our_std) + (mean - our_mean) / our_std for each in found]


def _run_teacher(
    setup: TrainingSetup, teacher: Teacher, parts: Sequence[Examples], run: Callable[..., list[Logits]]
) -> Iterator[Tensor]:
    """What ``run`` gives of each window, or of each text in windows."""
    checkpoint = teacher.load()
    checkpoint.model.to(best_device())
    merges = any(each.max_windows not in (1, None) for each in (setup.task, teacher.task))
    # as tasks with an answer per text may have it, the teacher reads other tokens or windows
    own = teacher.reads_as(setup.tokenizer) and not merges
    texts = ([window] for window in _windows(parts)) if own else _encode_again(setup, checkpoint, parts)
    batch_size = setup.recipe.training.per_device_eval_batch_size
    for block in iter(lambda: list(islice(texts, ROWS_AT_ONCE)), []):
        windows = [window for text in block for window in text]
        found = iter(run(checkpoint.model, checkpoint.tokenizer, windows, batch_size))
        yield from (torch.from_numpy(teacher.task.merge([next(found) for _ in text])) for text in block)


def _columns(teacher: Task, student: Task) -> list[int] | None:
    """Of the teacher's logits in the student's order; None: as they are."""
    if teacher.labels == student.labels:
        return None
    return [teacher.labels.index(label) for label in student.labels]


def _windows(parts: Sequence[Examples]) -> Iterator[Any]:
    return (window for part in parts for example in part for window in example.windows)


def _encode_again(setup: TrainingSetup, checkpoint: Checkpoint, parts: Sequence[Examples]) -> Iterator[list[Any]]:
    """The texts' windows as the teacher reads them."""
    for part in parts:
        for block in encode_blocks(setup.training_task, checkpoint.task, checkpoint.tokenizer, part.rows):
            yield from (each.windows for each in block.encoded)


def _digest(teachers: Sequence[Teacher], parts: Sequence[Examples]) -> str:
    """Of all that the logits depend on."""
    digest = hashlib.sha256(json.dumps([each.sha256 for each in teachers]).encode())
    for window in _windows(parts):
        digest.update(json.dumps(window.ids).encode())
    return digest.hexdigest()


def _read(path: Path, digest: str) -> list[Tensor] | None:
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        if (file.metadata() or {}).get(KEY) != digest:
            return None
        flat, lengths = file.get_tensor("logits"), file.get_tensor("lengths")
    parts = flat.split(torch.where(lengths == 0, 1, lengths).tolist())
    return [part[0] if length == 0 else part for part, length in zip(parts, lengths.tolist(), strict=True)]


def _write(path: Path, digest: str, logits: Sequence[Tensor]) -> None:
    """A length of 0 is that of a window with logits of its own, not of its tokens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = torch.tensor([0 if each.ndim == 1 else len(each) for each in logits])
    flat = torch.cat([each[None] if each.ndim == 1 else each for each in logits])
    with replace_file(path) as file:
        file.write(save({"logits": flat.contiguous(), "lengths": lengths}, {KEY: digest}))
