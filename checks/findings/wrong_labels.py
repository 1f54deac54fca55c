"""The finding of probably wrong labels, by task, and the labels to put in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from checks.finding import Example, Finding, Row, not_checked
from checks.findings.label_errors import FEWEST_ROWS, LabelError, find_multiple, find_numbers, find_single
from checks.subject import Subject
from serving.observability.progress import begin_step

NAME, TITLE = "label-errors", "labels that are probably wrong"
_HOW = "cross-validated on frozen vectors and words; cleanlab"
_NOT_CHECKED = {
    "token-classification": "tags have no sentence vectors; see duplicates and the report's worst mistakes",
    "question-answering": "answers are places; those that are not there are refused when the file is read",
    "feature-extraction": "the similarity of a pair has no label to compare with",
    "text2text-generation": "a text has no label to compare with",
    "text-generation": "a text has no label to compare with",
}


@dataclass(frozen=True)
class Suggestion:
    """A row to look at again."""

    row: Row
    suggested: Any
    confidence: float


def suggest_labels(subject: Subject) -> list[Suggestion] | str:
    """The worst first, or why there are none to be had."""
    if subject.setup.recipe.ranks:
        return "pairs without scores have no label; see the report's worst mistakes"
    if reason := _NOT_CHECKED.get(subject.task):
        return reason
    rows = [subject.rows[at] for at in subject.embedded]
    if len(rows) < FEWEST_ROWS:
        return f"{len(rows)} rows are too few; {FEWEST_ROWS} are needed"
    vectors, texts = subject.vectors, [row.text for row in rows]
    begin_step("cross-validating labels…")
    errors = _find(subject, rows, vectors, texts)
    return [Suggestion(rows[each.at], _named(subject, each.suggested), each.confidence) for each in errors]


def _find(subject: Subject, rows: list[Row], vectors: Any, texts: list[str]) -> list[LabelError]:
    if subject.task == "regression":
        return find_numbers(vectors, [row.target for row in rows])
    numbers = {label: at for at, label in enumerate(subject.labels)}
    if subject.task == "multi-label-classification":
        several = [[numbers[label] for label in row.target] for row in rows]
        return find_multiple(vectors, texts, several, len(numbers))
    return find_single(vectors, texts, [numbers[row.target] for row in rows])


def _named(subject: Subject, suggested: Any) -> Any:
    if isinstance(suggested, float):
        return round(suggested, 4)
    return [subject.labels[at] for at in suggested] if isinstance(suggested, list) else subject.labels[suggested]


def to_finding(subject: Subject, suggestions: list[Suggestion] | str) -> Finding:
    if isinstance(suggestions, str):
        return not_checked(NAME, TITLE, suggestions)
    examples = [
        Example(f"{each.row.target!r}; rather {each.suggested!r} ({each.confidence:.2f})", (each.row,))
        for each in suggestions
    ]
    return Finding(NAME, TITLE, len(suggestions), len(subject.embedded), _HOW, examples)
