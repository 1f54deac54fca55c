"""Which labels of a model a question is about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from serving.errors import InputError, quote
from serving.protocols.base import require_task
from serving.protocols.openai_decisions.body import Body, Choice, Predicate, Score
from serving.protocols.tei import SCORING_TASKS
from serving.tasks.base import Task
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.positive import positive_label
from serving.tasks.regression import Regression


def resolve(content: Body, index: int, task: Task) -> list[int]:
    """Their indices, of a regression none; raises InputError for a question that the model cannot answer."""
    question, field = content.questions[index], f"questions[{index}]"
    require_task(task, SCORING_TASKS, f"{field} is answered by labels")
    if isinstance(question, Predicate):
        return [_find_statement(question, field, task)]
    if isinstance(task, MultiLabelClassification):
        message = f"{field} is a {question.type}, and this model decides each label on its own"
        raise InputError(f"{message}; ask a predicate for each label", field=field)
    if isinstance(question, Choice):
        if isinstance(task, Regression):
            raise InputError(f"{field} is a choice, and this model answers a number; ask a score", field=field)
        return _find_labels([option.value for option in question.choices], f"{field}.choices", "value", task)
    if isinstance(task, Regression):
        _require_rising(question, field)
        return []
    return _find_labels([level.label for level in question.levels], f"{field}.levels", "label", task)


def _find_statement(question: Predicate, field: str, task: Task) -> int:
    """The label that the question's name or instructions are, or of two labels the one that means yes."""
    if isinstance(task, Regression):
        raise InputError(f"{field} is a predicate, and this model answers a number; ask a score", field=field)
    for text in (question.name, question.instructions):
        if isinstance(text, str) and text in task.labels:
            return task.labels.index(text)
    if (index := positive_label(task.labels)) is not None:
        return index
    remedy = f"give it the name of the label whose probability is asked: {_some(task)}"
    raise InputError(f"{field} is a predicate, and its name is no label of this model; {remedy}", field=field)


def _find_labels(values: Sequence[str | bool], field: str, key: str, task: Task) -> list[int]:
    places, found = {label: index for index, label in enumerate(task.labels)}, list[int]()
    for at, value in enumerate(values):
        index, where = _find_label(value, places), f"{field}[{at}].{key}"
        if index is None:
            raise InputError(f"{where} is {quote(value)}, which is no label of this model: {_some(task)}", field=where)
        if index in found:
            raise InputError(f"{where} is {quote(value)}, as another one is; each may be there once", field=where)
        found.append(index)
    return found


def _find_label(value: str | bool, places: Mapping[str, int]) -> int | None:
    """A boolean is the label that is written as it."""
    names = [value] if isinstance(value, str) else [str(value), str(value).lower(), str(value).upper()]
    return next((places[name] for name in names if name in places), None)


def _some(task: Task, most: int = 20) -> str:
    return ", ".join(map(quote, task.labels[:most])) + (", …" if len(task.labels) > most else "")


def _require_rising(question: Score, field: str) -> None:
    try:
        numbers = [float(level.label) for level in question.levels]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)) or not all(low < high for low, high in pairwise(numbers)):
        message = f"{field}.levels: this model answers a number; labels that are rising numbers are accepted"
        raise InputError(message, field=f"{field}.levels")
