"""Answers to questions, in the forms that tables have them: SQuAD's lists, the hub's lists, texts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from serving.errors import InputError, quote
from trainer.data import columns
from trainer.data.literals import parse_nested
from trainer.data.problems import UNUSABLE
from trainer.data.squad import place_alone, place_problem
from trainer.data.table import Table


def with_answers(table: Table) -> Table:
    """With the answers of a table that has a column for the text, and perhaps one for its place."""
    names = [name for name in ("answer", "answer_text", "text") if name in table.columns]
    if "answers" in table.columns or not names:
        return table
    starts = table.columns.get("answer_start", [None] * len(table))
    pairs = zip(table.columns[names[0]], starts, strict=True)
    answers = [
        UNUSABLE if text is UNUSABLE else [] if columns.is_missing(text) else {"text": text, "answer_start": start}
        for text, start in pairs
    ]
    return replace(table, columns={**table.columns, "answers": answers})


def _whole(value: Any) -> Any:
    """A number that CSV has as text, or pandas as a float."""
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isdecimal() else None if columns.is_missing(value) else value


def _parse_answers(value: Any) -> list[dict[str, Any]] | None:
    """SQuAD's list of answers, one alone, texts alone, or the hub's list of texts beside a list of starts; else None.

    An answer's start is None where the file has none.
    """
    value = parse_nested(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        texts: Any = value.get("text")
        if isinstance(texts, str):
            value = [value]
        elif isinstance(texts, (list, tuple)):
            starts: Any = value.get("answer_start", [None] * len(texts))
            lists = isinstance(starts, (list, tuple)) and len(texts) == len(starts)
            value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)] if lists else None
    if not isinstance(value, (list, tuple)):
        return None
    value = [{"text": each} if isinstance(each, str) else each for each in value]
    if not all(isinstance(each, dict) for each in value):
        return None
    answers = [{"text": each.get("text"), "answer_start": _whole(each.get("answer_start"))} for each in value]
    kinds = (int, type(None))
    good = all(isinstance(each["text"], str) and type(each["answer_start"]) in kinds for each in answers)
    return answers if good else None


def answers_problem(value: Any) -> str | None:
    """What is wrong with their shape."""
    return 'is not a list of {"text": …, "answer_start": …}' if _parse_answers(value) is None else None


def placed_answers(value: Any, context: str) -> list[dict[str, Any]]:
    """Each at its place; raises InputError with all that are at none, or that have several and do not say which."""
    placed, problems = [], []
    for answer in _parse_answers(value) or []:
        text, start = answer["text"], answer["answer_start"]
        start = place_alone(context, text) if start is None and text.strip() else start
        if problem := _answer_problem(text, start, context):
            problems.append(f"answers: {problem}")
        placed.append({"text": text, "answer_start": start})
    if problems:
        raise InputError("; ".join(problems))
    return placed


def _answer_problem(text: str, start: int | None, context: str) -> str:
    if not text.strip():
        return "an accepted answer is empty; a question without an answer has an empty list"
    if start is None:
        count = context.count(text)
        return f"{quote(text)} is {f'{count} times' if count else 'not'} in the context; give its answer_start"
    problem = place_problem(context, text, start)
    return problem and f"answer_start {problem}"
