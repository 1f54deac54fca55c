"""Extractive question answering: the span of the context that answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Encoding
from torch import Tensor

from serving.errors import InputError
from serving.tasks import question_answering as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.answers import answers_problem, placed_answers, with_answers
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.calibration import Forecasts, binary_forecasts
from trainer.metrics.changes import PROBABILITY, Changes, Side, score_changes
from trainer.metrics.scaling import fit_span_temperature
from trainer.metrics.squad import f1
from trainer.model.base_model import BaseCheckpoint
from trainer.model.inference import RowLogits
from trainer.recipe.defaults import stride
from trainer.tasks.base import Example, TrainingTask
from trainer.tasks.calibration import Calibrated
from trainer.tasks.losses import softmax_loss
from trainer.tasks.scoring import WordScoring, mistake
from trainer.tasks.soft_answers import SPANS, SoftAnswers

WINDOW = 384
SHORTEST_QUESTION = 12
NO_ANSWER = [0, 0]
"""Start and end are the first token where a window does not hold the answer (Devlin et al. 2019, section 4.3)."""


class QuestionAnswering(WordScoring, TrainingTask):
    """A target is a list of ``{"text", "answer_start"}``, empty for no answer."""

    serves = serving.QuestionAnswering
    head = "span"
    default_label = "answers"
    shares_passages = True

    def arrange(self, table: Table, labelled: bool | None) -> Table:
        return with_answers(super().arrange(table, labelled))

    def read_inputs(self, table: Table) -> list[Any]:
        questions = columns.texts(table, "task: question-answering", "question")
        contexts = columns.texts(table, "task: question-answering", "context")
        return columns.map_rows(table, lambda q, c: {"question": q, "context": c}, questions, contexts)

    def read_targets(self, table: Table) -> list[Any]:
        values = columns.column(table, "task: question-answering", "answers", answers_problem)
        contexts = columns.texts(table, "task: question-answering", "context")
        return columns.map_rows(table, placed_answers, values, contexts)

    def groups(self, table: Table, inputs: list[Any]) -> list[str]:
        """By article, or else by context."""
        titles = table.columns.get("title")
        return [str(title) for title in titles] if titles else [each["context"] for each in inputs]

    def default_max_length(self, base: BaseCheckpoint) -> int:
        """At most 384, as in BERT's own evaluation."""
        return min(base.max_length or WINDOW, WINDOW)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        self._may_be_none = not all(train.targets)
        if not any(train.targets) and not self.recipe.imported:
            raise InputError(f"{train.name}: no training row has an answer; there is nothing to learn")
        shared = stride(self.recipe, max_length)
        if max_length - 2 * shared < SHORTEST_QUESTION:
            raise InputError(
                f"data.stride: {shared} of {max_length} tokens leaves no room for a question;"
                f" give at most {(max_length - SHORTEST_QUESTION) // 2}, or a longer data.max_length",
                field="data.stride",
            )
        return serving.QuestionAnsweringSettings(
            stride=shared,
            max_length=max_length,
            no_answer_threshold=0.0 if self._may_be_none else None,
            **self.answer_settings(),
        )

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Without an answer only where some rows have none, at SQuAD 2.0's own threshold of 0."""
        settings = self.settings(rows, labels, max_length)
        return settings if rows.labelled else settings.model_copy(update={"no_answer_threshold": None})

    def imported_length(self, base: BaseCheckpoint, longest: int) -> int:
        return self.default_max_length(base)

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        """The no-answer threshold with the best validation F1."""
        if not self._may_be_none:
            return task.settings
        assert isinstance(task, serving.QuestionAnswering)
        always = serving.QuestionAnsweringParameters(handle_impossible_answer=False)
        pairs = list(zip(encoded, logits, strict=True))
        answers: list[Any] = [task.decode(each, windows, always) for each, windows in pairs]
        margins = np.array([task.no_answer_margin(each, windows) for each, windows in pairs])
        gains = [f1(text, golds) - f1("", golds) for text, golds in self.answered_texts(rows, answers)]
        return task.settings.model_copy(update={"no_answer_threshold": _best_threshold(margins, np.array(gains))})

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        return settings.model_copy(update={"temperature": 1.0})

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated:
        """A temperature, under which the answer's score is the probability that it matches an accepted one."""
        assert isinstance(task, serving.QuestionAnswering)
        spans = [np.array(task.ranked_logits(*pair)) for pair in zip(encoded, logits, strict=True)]
        temperature, fit = fit_span_temperature(spans, self.forecasts(task, encoded, logits, rows).correct)
        return Calibrated(task.settings.model_copy(update={"temperature": temperature}), fit.pays, fit)

    def forecasts(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Forecasts:
        """Of each answer, "no answer" included."""
        answers: list[Any] = [task.decode(*pair) for pair in zip(encoded, logits, strict=True)]
        scored = zip([answer["score"] for answer in answers], self.is_correct(rows, answers), strict=True)
        return binary_forecasts(len(rows), [(at, *each) for at, each in enumerate(scored)])

    def examples(self, task: Task, encoded: list[Encoded], target: list[dict[str, Any]]) -> list[Example]:
        """Labels are the answer's first and last token."""
        return [Example((window,), _token_span(window, target)) for window in encoded[0].windows]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        return softmax_loss(logits[..., 0], labels[:, 0]) + softmax_loss(logits[..., 1], labels[:, 1])

    def soft_answers(self) -> SoftAnswers:
        return SPANS

    def answered_text(self, answer: Any) -> str:
        return str(answer["answer"])

    def accepted_texts(self, rows: Rows) -> list[list[str]]:
        return [_texts(target) for target in rows.targets]

    def changes(self, before: Side, after: Side) -> Changes:
        """Of the score that the checkpoint's answer has; 0 where it is not among the best."""
        best = serving.QuestionAnsweringParameters(top_k=serving.N_BEST)
        answer, answers = before.decode(), {_place(each): each["score"] for each in after.decode(best)}
        return {PROBABILITY: score_changes({_place(answer): answer["score"]}, answers, missing=0.0)}

    def crosses_threshold(self, before: Side, after: Side) -> bool:
        """Only one side answers."""
        return bool(before.decode()["answer"]) != bool(after.decode()["answer"])

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """Answers that share no word with an accepted one."""
        wrong = [at for at, pair in enumerate(self.answered_texts(rows, answers)) if f1(*pair) == 0]
        return [
            mistake(
                rows,
                at,
                text=rows.inputs[at]["question"],
                expected=_texts(rows.targets[at])[0] or "no answer",
                answered=answers[at]["answer"] or "no answer",
                confidence=answers[at]["score"],
            )
            for at in sorted(wrong, key=lambda at: -answers[at]["score"])[:most]
        ]


def _place(answer: Any) -> tuple[int, int]:
    return answer["start"], answer["end"]


def _texts(answers: Sequence[dict[str, Any]]) -> list[str]:
    return [answer["text"] for answer in answers] or [""]


def _token_span(window: Encoding, answers: Sequence[dict[str, Any]]) -> list[int]:
    if not answers:
        return NO_ANSWER
    start = answers[0]["answer_start"]
    end = start + len(answers[0]["text"])
    context = [
        (at, offsets)
        for at, (offsets, segment) in enumerate(zip(window.offsets, window.sequence_ids, strict=True))
        if segment == 1 and offsets[0] < offsets[1]
    ]
    if not context or start < context[0][1][0] or end > context[-1][1][1]:
        return NO_ANSWER
    inside = [at for at, (left, right) in context if left < end and start < right]
    return [inside[0], inside[-1]] if inside else NO_ANSWER


def _best_threshold(margins: np.ndarray[Any, Any], gains: np.ndarray[Any, Any]) -> float:
    """Answering where margin <= threshold gains the most F1 over never answering."""
    order = np.argsort(margins, kind="stable")
    total = np.cumsum(gains[order])
    best = int(total.argmax())
    if total[best] <= 0:
        return float(margins.min()) - 1.0
    following = margins[order[best + 1]] if best + 1 < len(order) else margins[order[best]] + 1.0
    return float((margins[order[best]] + following) / 2)
