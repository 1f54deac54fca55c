"""The reference: transformers' tokenizer and the torch checkpoint, and its answers, computed once for all variants."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer

from export.proof.answers import hard_strings
from export.proof.answers.hard_strings import as_items
from export.proof.answers.item_answers import ItemAnswers
from export.proof.answers.stored_window import store_windows
from export.proof.answers.threads import map_in_threads
from serving.inference.memory import return_freed_memory
from serving.observability.progress import track
from serving.tasks.base import Encoded, Logits, Side, Task
from serving.tasks.generation import Generation
from trainer.data.rows import Rows
from trainer.model.checkpoint import load_checkpoint
from trainer.model.generate import GreedyAnswer, generate
from trainer.model.generation_config import require_served
from trainer.model.heads import GeneratingModel, Model
from trainer.model.inference import rows_logits
from trainer.model.inputs import cut, encode
from trainer.tasks.base import MetricValues, TrainingTask

BATCH_SIZE, ITEMS_AT_ONCE, PROMPTS_AT_ONCE = 32, 256, 4

T = TypeVar("T")


class ReferenceModel:
    """Its weights are loaded when they are needed, and again after `release`."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError if the checkpoint is incomplete."""
        self._folder = folder
        checkpoint = load_checkpoint(folder)
        self._model: Model | None = checkpoint.model
        self.task, self.max_length = checkpoint.task, checkpoint.max_length
        self.checkpoint_tokenizer = checkpoint.tokenizer
        self.tokenizer: Tokenizer = checkpoint.tokenizer.backend_tokenizer  # only counts tokens

    @property
    def model(self) -> Model:
        if self._model is None:
            self.release()
            self._model = load_checkpoint(self._folder).model
        return self._model

    def release(self) -> None:
        """Free the weights, and all else that is no longer used, before more is loaded."""
        self._model = None
        gc.collect()
        return_freed_memory()

    def encode(self, items: Sequence[Any], side: Side | None = None) -> list[Encoded]:
        """Truncated to the checkpoint's ``max_length`` at the task's side or another, not padded."""
        return encode(self.checkpoint_tokenizer, self.task, items, side)

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        """By item and window: float32 logits, or a generated answer."""
        return rows_logits(self.model, self.checkpoint_tokenizer, encoded, BATCH_SIZE)

    def logits(self, encoded: Encoded, results: list[Any]) -> list[Logits]:
        return results


class GeneratingReference(ReferenceModel):
    """Answers with transformers' greedy ``generate``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require_served(folder, self.task.settings)

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        answers = generate(self.model, self.checkpoint_tokenizer, self.task, [each.item for each in encoded])
        return [[[answer]] for answer in answers]

    @torch.inference_mode()
    def logits(self, encoded: Encoded, results: list[list[GreedyAnswer]]) -> list[Logits]:
        """[tokens, vocabulary], from one pass over prompt and answer."""
        model = self.model
        assert isinstance(model, GeneratingModel)
        prompt, answer = encoded.windows[0].ids, results[0][0].token_ids
        start = self.task.settings.model_dump()["decoder_start_token_id"]
        if start is not None:
            decoder = torch.tensor([[start, *answer[:-1]]])
            output = model.model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder).logits[0]
        else:
            output = model.model(input_ids=torch.tensor([[*prompt, *answer[:-1]]])).logits[0, len(prompt) - 1 :]
        logits: Logits = output.float().numpy()
        return [logits]


def load_reference(folder: Path, generates: bool) -> ReferenceModel:
    """Raises InputError if the checkpoint is incomplete."""
    return GeneratingReference(folder) if generates else ReferenceModel(folder)


@dataclass(frozen=True)
class UnlabelledAnswers:
    """Attributes:
    source, sha256: of the file.
    rows: in it; repeated ones, and those among the test rows, are not answered.
    """

    source: str
    sha256: str
    rows: int
    answers: ReferenceAnswers


@dataclass(frozen=True)
class TeacherAnswers:
    """A student's teacher's answers to the rows.

    Attributes:
        budget: the largest accepted drop of the metric from theirs.
        key: what moves the budget.
    """

    answers: list[Any]
    budget: float
    key: str


@dataclass(frozen=True)
class ReferenceAnswers:
    """Answers to every evaluation row and hard input; lists by item.

    Attributes:
        items: the rows' items, then the hard inputs.
        counts: items of each row.
        results: what the task decodes, by item and window.
        test_sets: the rows of each named test set, if there are several.
        unlabelled: the answers to rows without labels.
        teacher: of a student's run.
    """

    model: ReferenceModel
    training_task: TrainingTask
    evaluation: Rows
    items: list[Any]
    counts: list[int]
    encoded: list[Encoded]
    results: list[list[Any]]
    test_sets: Mapping[str, range] = field(default_factory=dict)
    unlabelled: UnlabelledAnswers | None = None
    teacher: TeacherAnswers | None = None

    @cached_property
    def answers(self) -> ItemAnswers:
        return ItemAnswers(self.training_task, self.model.task, self.counts, self.encoded, self.results)

    @property
    def row_items(self) -> list[Any]:
        """Without hard inputs."""
        return self.items[: sum(self.counts)]

    def logits(self, place: int) -> list[Logits]:
        """By window, or by generated token."""
        return self.model.logits(self.encoded[place], self.results[place])

    @cached_property
    def strings(self) -> list[Encoded]:
        """Tokenised hard strings that the task accepts."""
        texts = hard_strings.hard_strings(hard_strings.STRINGS, hard_strings.SEED)
        task, encode = self.model.task, self.model.encode
        items = as_items(task, self.model.tokenizer, texts)
        return run_in_batches("the tokenizer", task, encode, lambda encoded: [[]] * len(encoded), items)[0]

    @property
    def row_answers(self) -> list[Any]:
        return self.answers.by_row

    @cached_property
    def scores(self) -> MetricValues:
        return self.training_task.score(self.evaluation, self.row_answers)


def compute_reference_answers(model: ReferenceModel, training_task: TrainingTask, evaluation: Rows) -> ReferenceAnswers:
    per_row = [training_task.items(model.task, inputs) for inputs in evaluation.inputs]
    items = [item for row in per_row for item in row] + as_items(model.task, model.tokenizer)
    encoded, results = run_in_batches("the checkpoint's answers", model.task, model.encode, model.run, items)
    counts = [len(row) for row in per_row]
    return ReferenceAnswers(model, training_task, evaluation, items, counts, encoded, results)


def run_in_batches(
    part: str,
    task: Task,
    encode: Callable[[Sequence[Any]], list[Encoded]],
    run: Callable[[Sequence[Encoded]], list[T]],
    items: Sequence[Any],
    workers: int = 1,
) -> tuple[list[Encoded], list[T]]:
    """Each item's stored windows and what ``run`` gives for them, some items at a time.

    ``part`` names this work while it lasts; ``workers`` batches are in work at once.
    """

    def run_batch(batch: Sequence[Any]) -> tuple[list[Encoded], list[T]]:
        encoded = encode(batch)
        results = run(encoded)
        return [store_windows(task, each) for each in encoded], results

    size = PROMPTS_AT_ONCE if isinstance(task, Generation) else ITEMS_AT_ONCE
    batches = map_in_threads(run_batch, cut(items, size), workers)
    done = list(track(part, batches, len(items), lambda batch: len(batch[0])))
    return [each for stored, _ in done for each in stored], [each for _, results in done for each in results]
