"""``/v1/decisions``: OpenAI's typed questions about an input, answered by the labels that a model was trained on.

A fine-tuned model has its question built in: the instructions are not read, and what is asked must be its labels. Of
these a ``choice`` has two or more, a ``predicate`` one (by the question's name or instructions), and a ``score`` has
them as its levels; of a regression, the levels are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.protocols.base import Check, Reply, Request, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.openai_decisions.body import Body, Choice, Predicate, Score, read_input
from serving.protocols.openai_decisions.labels import resolve
from serving.protocols.openai_decisions.probabilities import choose, place_on_levels, rate
from serving.protocols.tei import SCORING_TASKS
from serving.tasks.base import Task
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.regression import Regression

PATH = "/v1/decisions"


def read(body: bytes, task: Task) -> Body:
    """Raises InputError."""
    return validate_body(Body, load_json(body, task))


def parse(body: bytes, task: Task, check: Check) -> Request:
    """All questions to one model; raises InputError."""
    require_task(task, SCORING_TASKS, f"{PATH} is answered by labels")
    content = read(body, task)
    asked = {index: resolve(content, index, task) for index in range(len(content.questions))}
    return to_request(content, asked, task, check)


def to_request(content: Body, asked: Mapping[int, list[int]], task: Task, check: Check) -> Request:
    """The one input; ``asked``: the labels' indices of each question that this model answers."""
    parameters: dict[str, Any] = {"threshold": 0.0} if isinstance(task, MultiLabelClassification) else {}
    item = check(read_input(content.input), "input")
    return Request([item], True, task.parameters_type(**parameters), (content, asked), field="input")


def render(task: Task, request: Request, reply: Reply) -> Any:
    content, _ = request.options
    return join(content, [(task, request, reply)])


def join(content: Body, parts: Sequence[tuple[Task, Request, Reply]]) -> Any:
    """The answers of all models, in the order of the questions."""
    answers = {index: answer for part in parts for index, answer in _answers(*part).items()}
    tokens = sum(each.tokens for _, _, reply in parts for each in reply.encoded)
    return {
        "model": content.model,
        "answers": [answers[index] for index in range(len(content.questions))],
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens,
        },
    }


def _answers(task: Task, request: Request, reply: Reply) -> dict[int, Any]:
    content, asked = request.options
    (answer,) = reply.answers
    scores = {each["label"]: each["score"] for each in answer}
    return {
        index: {
            "type": content.questions[index].type,
            "name": content.questions[index].name,
            **_answer(content.questions[index], [task.labels[label] for label in labels], scores, task),
        }
        for index, labels in asked.items()
    }


def _answer(
    question: Predicate | Choice | Score, labels: list[str], scores: Mapping[str, float], task: Task
) -> dict[str, Any]:
    """``scores``: of all labels, the answered one first."""
    if isinstance(question, Predicate):
        return {"probability": scores[labels[0]]}
    if isinstance(question, Choice):
        among = set(labels)
        best = labels.index(next(label for label in scores if label in among))
        return choose([each.value for each in question.choices], [scores[label] for label in labels], best)
    levels = [level.label for level in question.levels]
    if not isinstance(task, Regression):
        return rate(levels, [scores[label] for label in labels])
    settings, numbers = task.settings, [float(level) for level in levels]
    return rate(levels, place_on_levels(scores[task.labels[0]], numbers, settings.radius, settings.coverage))
