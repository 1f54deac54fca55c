"""Learning extractive question answering: where in each window of the context the answer begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from tokenizers import Encoding
from torch import Tensor

from serving.errors import InputError
from serving.tasks import question_answering as serving
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.resampling import WeightedMetric, mean_of
from trainer.metrics.squad import exact_match, f1
from trainer.model.base_model import BaseCheckpoint
from trainer.model.heads import Head
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.losses import one_of

WINDOW = 384
SHORTEST_QUESTION = 12
NO_ANSWER = [0, 0]
"""The first token is start and end where a window does not hold the answer (Devlin et al. 2019, section 4.3)."""


class QuestionAnswering(TrainingTask):
    """A passage of the context. A target is a list of ``{"text", "answer_start"}``, empty where there is no answer."""

    serves: ClassVar[type[Task]] = serving.QuestionAnswering
    head: ClassVar[Head] = "span"

    def read_inputs(self, table: Table) -> list[dict[str, str]]:
        """Question and context of each row."""
        questions = columns.texts(table, "task: question-answering", "question")
        contexts = columns.texts(table, "task: question-answering", "context")
        return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]

    def read_targets(self, table: Table) -> list[list[dict[str, Any]]]:
        """The accepted answers of each row, each checked against its context."""
        found = columns.column(table, "task: question-answering", "answers", _answers_problem)
        answers = [_as_list(value) for value in found]
        rows = enumerate(zip(answers, table.columns["context"], strict=True), 1)
        problems = [
            f"row {row}: answers: {problem}"
            for row, (some, context) in rows
            for problem in (_misplaced(answer, context) for answer in some)
            if problem
        ]
        columns.refuse(table.name, problems)
        return answers

    def groups(self, table: Table, inputs: list[Any]) -> list[str]:
        """Questions on one article stay together; where articles have no titles, those on one context."""
        titles = table.columns.get("title")
        return [str(title) for title in titles] if titles else [each["context"] for each in inputs]

    def default_max_length(self, base: BaseCheckpoint) -> int:
        """As in BERT's own evaluation, or what the base model takes."""
        return min(base.max_length or WINDOW, WINDOW)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """How windows overlap, and whether no answer is an answer."""
        self._may_be_none = not all(train.targets)
        stride = self.data.stride if self.data.stride is not None else max_length // 3
        if max_length - 2 * stride < SHORTEST_QUESTION:
            raise InputError(
                f"data.stride: {stride} of {max_length} tokens leaves no room for a question;"
                f" give at most {(max_length - SHORTEST_QUESTION) // 2}, or a longer data.max_length",
                field="data.stride",
            )
        return serving.QuestionAnsweringSettings(
            stride=stride, max_length=max_length, no_answer_threshold=0.0 if self._may_be_none else None
        )

    def tune_settings(
        self, task: Task, encoded: Sequence[Encoded], logits: Sequence[list[Logits]], rows: Rows
    ) -> TaskSettings:
        """Where some training questions have no answer: the threshold of the best validation F1."""
        if not self._may_be_none:
            return task.settings
        assert isinstance(task, serving.QuestionAnswering)
        always = serving.QuestionAnsweringParameters(handle_impossible_answer=False)
        pairs = list(zip(encoded, logits, strict=True))
        answers: list[Any] = [task.decode(each, windows, always) for each, windows in pairs]
        margins = np.array([task.no_answer_margin(each, windows) for each, windows in pairs])
        gains = np.array(
            [_f1(a["answer"], right) - _f1("", right) for a, right in zip(answers, rows.targets, strict=True)]
        )
        return task.settings.model_copy(update={"no_answer_threshold": _best_margin(margins, gains)})

    def examples(self, task: Task, encoded: list[Encoded], target: list[dict[str, Any]]) -> list[Example]:
        """Each window, with the answer's first and last token, or the first token twice where it is not inside."""
        return [Example((window,), _token_span(window, target)) for window in encoded[0].windows]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Cross-entropy over the tokens, of the start and of the end; tokens of padding have minus infinity."""
        return one_of(logits[..., 0], labels[:, 0]) + one_of(logits[..., 1], labels[:, 1])

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """F1 and exact match as SQuAD scores them, the best over a question's accepted answers."""
        pairs = [(answer["answer"], right) for answer, right in zip(answers, rows.targets, strict=True)]
        return {
            "f1": float(np.mean([_f1(text, right) for text, right in pairs])),
            "exact_match": float(np.mean([exact_match(text, _texts(right)) for text, right in pairs])),
        }

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """Both scores are means over the rows."""
        if metric == "exact_match":
            return mean_of(self.is_correct(rows, answers))
        return mean_of([_f1(answer["answer"], right) for answer, right in zip(answers, rows.targets, strict=True)])

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        """Whether the answer is exactly an accepted one."""
        pairs = zip(answers, rows.targets, strict=True)
        return [exact_match(answer["answer"], _texts(right)) == 1 for answer, right in pairs]

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most confident answers that share no word with an accepted one."""
        wrong = [at for at, answer in enumerate(answers) if _f1(answer["answer"], rows.targets[at]) == 0]
        return [
            {
                "row": rows.numbers[at],
                "text": rows.inputs[at]["question"],
                "expected": next(iter(_texts(rows.targets[at])), "") or "no answer",
                "answered": answers[at]["answer"] or "no answer",
                "confidence": answers[at]["score"],
            }
            for at in sorted(wrong, key=lambda at: -answers[at]["score"])[:most]
        ]


def _texts(answers: Sequence[dict[str, Any]]) -> list[str]:
    return [answer["text"] for answer in answers] or [""]


def _f1(text: str, right: Sequence[dict[str, Any]]) -> float:
    return f1(text, _texts(right))


def _as_list(value: Any) -> list[dict[str, Any]]:
    """SQuAD's list of answers; the hub's data sets have a list of texts beside a list of starts."""
    if isinstance(value, dict):
        return [{"text": t, "answer_start": s} for t, s in zip(value["text"], value["answer_start"], strict=True)]
    return [{"text": answer["text"], "answer_start": answer["answer_start"]} for answer in value]


def _answers_problem(value: Any) -> str | None:
    shape = 'is not a list of {"text": …, "answer_start": …}'
    if isinstance(value, dict):
        some: Any = value.get("text")
        starts: Any = value.get("answer_start")
        lists = isinstance(some, (list, tuple)) and isinstance(starts, (list, tuple))
        return None if lists and len(some) == len(starts) else shape
    if not isinstance(value, (list, tuple)):
        return shape
    good = all(
        isinstance(a, dict) and isinstance(a.get("text"), str) and isinstance(a.get("answer_start"), int) for a in value
    )
    return None if good else shape


def _misplaced(answer: dict[str, Any], context: str) -> str | None:
    text, start = answer["text"], answer["answer_start"]
    if not text:
        return "an accepted answer is empty; a question without an answer has an empty list"
    if not 0 <= start <= len(context) - len(text):
        return f"answer_start {start} with {len(text)} characters is outside the context of {len(context)}"
    there = context[start : start + len(text)]
    return None if there == text else f"answer_start {start}: the context has {there[:40]!r} there, not {text[:40]!r}"


def _token_span(window: Encoding, answers: Sequence[dict[str, Any]]) -> list[int]:
    if not answers:
        return NO_ANSWER
    start = answers[0]["answer_start"]
    end = start + len(answers[0]["text"])
    places = [
        (at, offsets)
        for at, (offsets, segment) in enumerate(zip(window.offsets, window.sequence_ids, strict=True))
        if segment == 1 and offsets[0] < offsets[1]
    ]
    if not places or start < places[0][1][0] or end > places[-1][1][1]:
        return NO_ANSWER
    inside = [at for at, (left, right) in places if left < end and start < right]
    return [inside[0], inside[-1]] if inside else NO_ANSWER


def _best_margin(margins: np.ndarray[Any, Any], gains: np.ndarray[Any, Any]) -> float:
    """The threshold t such that answering where the margin is at most t gains the most F1 over never answering."""
    order = np.argsort(margins, kind="stable")
    total = np.cumsum(gains[order])
    best = int(total.argmax())
    if total[best] <= 0:
        return float(margins.min()) - 1.0
    following = margins[order[best + 1]] if best + 1 < len(order) else margins[order[best]] + 1.0
    return float((margins[order[best]] + following) / 2)
