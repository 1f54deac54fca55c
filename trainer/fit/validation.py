"""The encoded rows of a run, and what validation gives: metrics, the loss, tuned settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Logits, Task
from trainer.data.rows import Rows, hash_rows
from trainer.fit.answers import PackedAnswers
from trainer.fit.batches import Examples, collator, pad_labels
from trainer.fit.distributed.shared_logits import shared_rows_logits
from trainer.fit.encoding import Block, EncodedItems, encode_blocks
from trainer.fit.progress import show_data
from trainer.fit.streamed_examples import StreamedExamples, sample_of
from trainer.fit.window_warnings import window_warnings
from trainer.model.checkpoint import save_checkpoint
from trainer.model.heads import Model
from trainer.model.inference import rows_logits
from trainer.model.inputs import cut, longest_first
from trainer.model.tokenizer_warnings import tokenizer_warnings
from trainer.run.processes import count as processes
from trainer.run.processes import gather, rank
from trainer.run.run import Run
from trainer.setup.data_warnings import warnings_of
from trainer.setup.teachers import other_test_rows
from trainer.setup.training_setup import TrainingSetup, tokens_read
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.generation import Generation

LOSS_BATCH = 64
MOST_LOGITS = 2**25
"""Of a generating model at once: 128 MB, and a few copies."""


class TrainingExamples(Protocol):
    """In memory or streamed, with what a teacher says of them, where there is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

    def lengths(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Datasets:
    """``token_vectors``: with which a student without layers begins."""

    training_task: TrainingTask
    task: Task
    tokenizer: PreTrainedTokenizerFast
    train: TrainingExamples
    validation: Examples | StreamedExamples
    validation_rows: Rows
    token_vectors: Tensor | None = None

    def sample(self) -> Datasets:
        """Few examples that stand for streamed ones, to time steps before a training; all of those in memory."""
        if not isinstance(self.train, StreamedExamples) or not isinstance(self.validation, StreamedExamples):
            return self
        validation = self.validation.sample
        return replace(self, train=self.train.sample, validation=validation, validation_rows=validation.rows)

    def validation_blocks(self) -> Iterator[Block]:
        return encode_blocks(self.training_task, self.task, self.tokenizer, self.validation_rows)

    @property
    def items(self) -> EncodedItems:
        """Of the validation rows."""
        return EncodedItems(self.training_task, self.task, self.tokenizer, self.validation_rows)


def encode_datasets(setup: TrainingSetup, record: dict[str, Any], console: Console) -> tuple[Datasets, list[str]]:
    """Encode the rows and show the data, as ``record`` has it; returns its warnings too."""
    task, splits = setup.task, setup.splits
    kind = StreamedExamples if setup.recipe.data.streaming else Examples
    train, validation = (
        kind(setup.training_task, task, setup.tokenizer, rows) for rows in (splits.train, splits.validation)
    )
    limit = "data.max_windows windows" if task.uses_windows else "data.max_length"
    warnings = warnings_of(splits, train.truncated, f"{limit} ({tokens_read(setup):,} tokens)")
    warnings += window_warnings(setup, train) if isinstance(train, Examples) else []  # no windows are streamed
    warnings += tokenizer_warnings(setup.tokenizer, setup.base.folder, setup.base.config.vocab_size)
    told = sample_of(splits.train) if kind is StreamedExamples else splits.train
    warnings += setup.training_task.warnings(task, told)
    warnings += other_test_rows(setup.teachers, hash_rows(splits.test))
    carried = setup.carried
    warnings += [carried.text] if carried and carried.partly else []
    show_data(console, record, warnings)
    if carried and not carried.partly:
        console.print(carried.text, highlight=False)
    return Datasets(setup.training_task, task, setup.tokenizer, train, validation, splits.validation), warnings


def tune_and_save(setup: TrainingSetup, run: Run, model: Model, datasets: Datasets) -> dict[str, Any]:
    """Tune and calibrate the task's settings and write the checkpoint; returns its part of the run's record."""
    model.eval()
    settings, calibrated = datasets.task.settings, None
    if not isinstance(setup.training_task, Generation):
        batch_size = setup.recipe.training.per_device_eval_batch_size
        blocks = datasets.validation_blocks()
        of_blocks = (rows_logits(model, datasets.tokenizer, block.encoded, batch_size) for block in blocks)
        rows = datasets.items, [logits for block in of_blocks for logits in block], datasets.validation_rows
        settings = setup.training_task.tune_settings(datasets.task, *rows)
        calibrated = setup.training_task.calibrate(setup.training_task.task(setup.splits.labels, settings), *rows)
    settings = calibrated.settings if calibrated else settings
    task = setup.training_task.task(setup.splits.labels, settings)
    save_checkpoint(model, setup.model_spec, task, setup.tokenizer, run.checkpoint)
    record: dict[str, Any] = {"settings": settings.model_dump(mode="json")}
    before = datasets.task.settings.model_dump(mode="json")
    record["tuned"] = {name: value for name, value in record["settings"].items() if value != before[name]}
    return record | ({"calibration": calibrated.to_record()} if calibrated else {})


def validate(model: Model, datasets: Datasets, batch_size: int) -> MetricValues:
    """Metrics of whole answers, and ``loss``, the mean without smoothing or class weights.

    Generation is scored by target tokens, each predicted from the right ones before it.
    """
    if isinstance(datasets.training_task, Generation):
        return _teacher_forced(model, datasets, datasets.training_task, batch_size)
    training_task, answers, losses = datasets.training_task, PackedAnswers(), list[tuple[float, int]]()
    for block in datasets.validation_blocks():
        logits = shared_rows_logits(model, datasets.tokenizer, block.encoded, batch_size)
        answers.extend(training_task.decode_rows(datasets.task, block.encoded, logits, block.counts))
        losses += _losses(datasets, block, logits)
    total, count = map(sum, zip(*losses, strict=True))
    return {**training_task.score(datasets.validation_rows, answers), "loss": total / max(count, 1)}


@torch.inference_mode()
def _teacher_forced(model: Model, datasets: Datasets, training_task: Generation, batch_size: int) -> MetricValues:
    collate, device = collator(datasets.tokenizer, training_task), next(model.parameters()).device
    examples = datasets.validation
    loss, hits, count = 0.0, 0, 0
    # a logit for each token and each token of the vocabulary: more rows at once are no faster, and fill the memory
    most_tokens = max(1, MOST_LOGITS // model.config.vocab_size)
    lengths = [max(len(each.windows[0].ids), len(each.label)) for each in iter(examples)]
    for indices in list(longest_first(lengths, batch_size, most_tokens))[rank() :: processes()]:
        batch = {name: value.to(device) for name, value in collate([examples[at] for at in indices]).items()}
        labels = batch.pop("labels")
        logits = model(**batch)["logits"]
        loss += float(training_task.total_loss(logits, labels, training=False))
        predicted, expected = training_task.align(logits, labels)
        hits += int((predicted.argmax(-1) == expected).sum())
        count += training_task.label_count(labels)
    loss, hits, count = map(sum, zip(*gather((loss, hits, count)), strict=True))
    mean = loss / max(count, 1)
    return {"token_accuracy": hits / max(count, 1), "perplexity": math.exp(min(mean, 50.0)), "loss": mean}


def _losses(datasets: Datasets, block: Block, logits: Sequence[list[Logits]]) -> Iterator[tuple[float, int]]:
    """Sums, and over how many labels each is."""
    if datasets.training_task.aggregation is not None:
        yield _loss_of_texts(datasets, block, logits)
        return
    logits_of = {
        id(window): values
        for each, windows in zip(block.encoded, logits, strict=True)
        for window, values in zip(each.windows, windows, strict=True)
    }
    pairs = zip(block.by_row(), block.rows.targets, strict=True)
    every = [each for row in pairs for each in datasets.training_task.examples(datasets.task, *row)]
    for examples in cut(every, LOSS_BATCH):
        for batch in _stackable(examples, logits_of):
            labels = pad_labels([example.label for example in batch], datasets.tokenizer.padding_side)
            values = torch.from_numpy(np.stack([logits_of[id(window)] for each in batch for window in each.windows]))
            loss = datasets.training_task.total_loss(values, labels, training=False)
            yield float(loss), datasets.training_task.label_count(labels)


def _loss_of_texts(datasets: Datasets, block: Block, logits: Sequence[list[Logits]]) -> tuple[float, int]:
    """Of texts that are answered as a whole, whatever the number of their windows."""
    training_task, pairs = datasets.training_task, zip(block.by_row(), block.rows.targets, strict=True)
    labels = torch.tensor([each.label for row in pairs for each in training_task.examples(datasets.task, *row)])
    merged = torch.from_numpy(np.stack([datasets.task.merge(windows) for windows in logits]))
    return float(training_task.total_loss(merged, labels, training=False)), training_task.label_count(labels)


def _stackable(examples: Sequence[Example], logits_of: dict[int, Logits]) -> list[list[Example]]:
    """Together, or one by one where logits differ in shape."""
    shapes = {logits_of[id(window)].shape for example in examples for window in example.windows}
    return [list(examples)] if len(shapes) == 1 else [[example] for example in examples]
