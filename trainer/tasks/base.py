"""A task as the trainer sees it: how it reads, learns, scores and calibrates, around the task that `serving` answers.

The same `serving` object decodes here, in the proof and in the server.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from serving.bundle.manifest import Limits
from serving.tasks.base import Encoded, Task, TaskSettings
from serving.tasks.personal_data import to_settings
from serving.tasks.processing import steps_of
from serving.tasks.windows import Windows
from trainer.data.rows import Rows
from trainer.model.base_model import BaseCheckpoint
from trainer.model.heads import Head
from trainer.model.inference import RowLogits
from trainer.recipe.defaults import stride
from trainer.recipe.recipe import Recipe
from trainer.tasks.calibration import Calibration
from trainer.tasks.objective import Example, Objective
from trainer.tasks.row_reader import RowReader
from trainer.tasks.scoring import MetricValues, Scoring

USUAL_LENGTH, LONGEST = 512, 8192
"""Tokens of an imported model's window, where no row has more, and where none may."""


class TrainingTask(RowReader, Objective, Scoring, Calibration):
    """``serves`` is the class that answers, ``head`` what the model gives."""

    serves: ClassVar[type[Task]]
    head: ClassVar[Head]

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def open_extensions(self) -> None:
        """Raise InputError for code of the user's own that cannot be imported, before rows are read."""
        _ = self.own_loss, self.own_metric

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        """Keep what the task needs of the base model."""
        self.read_with(tokenizer, base.id)

    def default_max_length(self, base: BaseCheckpoint) -> int:
        """Tokens per window."""
        return base.default_max_length

    @abstractmethod
    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """The answering task's settings before training."""

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Those of a model that others trained: nothing is fitted."""
        return self.settings(rows, labels, max_length)

    def imported_length(self, base: BaseCheckpoint, longest: int) -> int:
        """Tokens per window of such a model: all of the ``longest`` row."""
        return min(base.max_length or LONGEST, max(USUAL_LENGTH, longest))

    def pair_settings(self, max_length: int) -> dict[str, Any]:
        """Settings of tasks that take a text or a pair."""
        pair, windows = self.data.text_pair is not None, self._windows(max_length)
        return {"pair": pair, "windows": windows, **self.text_settings(), **self.answer_settings()}

    def text_settings(self) -> dict[str, Any]:
        """How texts are changed before they are read."""
        steps = steps_of("preprocessors", self.data.preprocess)
        return {**to_settings(self.data.redact), **({"preprocess": steps} if steps else {})}

    def answer_settings(self) -> dict[str, Any]:
        """How answers are changed after they are decoded."""
        steps = steps_of("postprocessors", self.data.postprocess)
        return {"postprocess": steps} if steps else {}

    def _windows(self, max_length: int) -> Windows | None:
        if self.aggregation is None:
            return None
        shared = stride(self.recipe, max_length)
        return Windows(stride=shared, max_windows=self.data.max_windows, aggregation=self.aggregation)

    def task(self, labels: Sequence[str], settings: TaskSettings) -> Task:
        return self.serves(labels, settings, Limits())

    def uncalibrated(self, task: Task) -> Task:
        """It answers the same, with scores as the model gives them."""
        return self.task(task.labels, self.without_calibration(task.settings))

    def items(self, task: Task, inputs: Any) -> list[Any]:
        """The items that ``task`` takes for a row: one, or two for a pair of vectors."""
        return [task.check(inputs)]

    def input_check(self, task: Task, tokenizer: Tokenizer) -> Callable[[Any], None]:
        """A function that raises InputError for a row's inputs that ``task`` refuses."""

        def check(inputs: Any) -> None:
            for item in self.items(task, inputs):
                task.check_tokens(tokenizer, item)

        return check

    def answer(self, answers: list[Any]) -> Any:
        """The row's answer from its items' answers."""
        return answers[0]

    def decode_rows(
        self, task: Task, encoded: Iterable[Encoded], results: Iterable[Sequence[Any]], counts: Iterable[int]
    ) -> Iterator[Any]:
        """Each row's answer from its next ``count`` items, with no more of it than `Scoring` reads."""
        pairs = zip(encoded, results, strict=True)
        answers = (task.answer(*pair, self.scoring_parameters) for pair in pairs)
        return (self.answer([next(answers) for _ in range(count)]) for count in counts)

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        """Thresholds and the like are fitted to the validation rows."""
        return task.settings


__all__ = ["Example", "MetricValues", "TrainingTask"]
