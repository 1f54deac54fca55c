"""SQuAD JSON, 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018), as one row a question.

``answer_start`` counts Unicode code points.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from serving.errors import InputError
from serving.tasks.inputs import encodable, json_type
from trainer.data.offsets import code_points, unit_hint
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table, text_of

COLUMNS = ("id", "title", "question", "context", "answers")

_SHOWN = 60


def is_squad(content: object) -> bool:
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list):
        return False
    return not data or any(isinstance(article, dict) and "paragraphs" in article for article in data)


def as_squad(content: Any) -> Any:
    """Articles, or paragraphs, alone in a list as a file of them; anything else as it is."""
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        if all("paragraphs" in each for each in content):
            return {"data": content}
        if all({"context", "qas"} <= each.keys() for each in content):
            return {"data": [{"paragraphs": content}]}
    return content


def read_squad(path: Path, encoding: str | None = None) -> Table:
    """One question a row; what is wrong with one, or with all of an article or paragraph, is its row's problem."""
    content = as_squad(_json(path, encoding))
    if not is_squad(content):
        raise InputError(
            f'{path.name}: is no SQuAD file; give {{"data": [{{"paragraphs": [{{"context": …, "qas": …}}]}}]}}'
        )
    rows = _without_answers(list(_rows(_Node("", content))))
    if not rows:
        raise InputError(f"{path.name}: has no question; give at least one in the qas of a paragraph")
    names = [name for name in COLUMNS if any(isinstance(row, dict) and row[name] is not None for row in rows)]
    table = Table(
        path.name,
        {name: [row if row is UNUSABLE else row[name] for row in _usable(rows)] for name in names or COLUMNS},
    )
    for number, row in enumerate(rows, 1):
        for problem in row if isinstance(row, list) else ():
            table.problems.add(number, str(problem), problem.where or "the file")
    if found := sum(isinstance(row, dict) and row["found"] for row in rows):
        table.notes.append(f"{found} questions have answers without answer_start, each found once in its context")
    return table


class _Problem(InputError):
    """``where`` is the article, paragraph and question that it is about."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


_Row = dict[str, Any] | list[_Problem]
"""A question, or what is wrong with it, or with the article or paragraph in its place."""


def _without_answers(rows: list[_Row]) -> list[_Row]:
    """Where some questions have answers, those without are problems; a file may have none at all."""
    if not any(isinstance(row, list) or row["answers"] is not None for row in rows):
        return rows
    return [
        [_Problem(row["where"], "answers is missing; a list is accepted")]
        if isinstance(row, dict) and row["answers"] is None
        else row
        for row in rows
    ]


def _usable(rows: Sequence[_Row]) -> list[Any]:
    return [UNUSABLE if isinstance(row, list) else row for row in rows]


@dataclass(frozen=True)
class _Node:
    """An object of the file; ``where`` and ``path`` locate it in messages."""

    where: str
    value: dict[str, Any]
    path: str = ""

    def text(self, field: str) -> str:
        value = self._get(field, str, "text")
        if not value.strip():
            raise self.error(field, "is empty")
        if not encodable(value):
            raise self.error(field, "holds half of a surrogate pair, which is no character")
        return str(value)

    def parts(self, field: str, noun: str, name: str = "") -> list[_Node | _Problem]:
        """The objects of a list, each with its ``noun`` and number in ``where``, or what is there instead."""
        return [
            self._part(value, field, noun, name, number)
            for number, value in enumerate(self._get(field, list, "a list"), 1)
        ]

    def _part(self, value: Any, field: str, noun: str, name: str, number: int) -> _Node | _Problem:
        if not isinstance(value, dict):
            return self.error(f"{field}[{number - 1}]", f"is {json_type(value)}; an object is accepted")
        label = f" ({_quote(str(value[name]))})" if value.get(name) else ""
        return _Node(", ".join(filter(None, (self.where, f"{noun} {number}{label}"))), value)

    def answers(self) -> list[_Node | _Problem]:
        if "answers" not in self.value and self.value.get("is_impossible") is True:
            return []
        parts = enumerate(self.parts("answers", "answer"))
        return [
            part if isinstance(part, _Problem) else _Node(self.where, part.value, f"answers[{at}].")
            for at, part in parts
        ]

    def number(self, field: str) -> int:
        return int(self._get(field, int, "a whole number"))

    def error(self, field: str, problem: str) -> _Problem:
        return _Problem(self.where, f"{self.path}{field} {problem}")

    def _get(self, field: str, kind: type, accepted: str) -> Any:
        if field not in self.value:
            raise self.error(field, f"is missing; {accepted} is accepted")
        value = self.value[field]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(field, f"is {json_type(value)}; {accepted} is accepted")
        return value


def _rows(file: _Node) -> Iterator[_Row]:
    for article in file.parts("data", "article", "title"):
        yield from _read(article, _article_rows)


def _read(part: _Node | _Problem, rows_of: Callable[[_Node], Iterator[_Row]]) -> Iterator[_Row]:
    """Its rows, or in their place what is wrong with it."""
    if isinstance(part, _Problem):
        yield [part]
        return
    try:
        yield from rows_of(part)
    except _Problem as problem:
        yield [problem]


def _article_rows(article: _Node) -> Iterator[_Row]:
    title = article.text("title") if article.value.get("title") else ""
    for paragraph in article.parts("paragraphs", "paragraph"):
        yield from _read(paragraph, partial(_paragraph_rows, title))


def _paragraph_rows(title: str, paragraph: _Node) -> Iterator[_Row]:
    context = paragraph.text("context")
    for question in paragraph.parts("qas", "question", "id"):
        yield from _read(question, partial(_question_row, title, context))


def _question_row(title: str, context: str, question: _Node) -> Iterator[_Row]:
    number = question.value.get("id")
    name, asked = str(number) if type(number) is int else question.text("id"), question.text("question")
    if "answers" not in question.value and not question.value.get("is_impossible"):
        yield {"id": name, "title": title, "question": asked, "context": context, "answers": None, "found": False,
               "where": question.where}  # fmt: skip
        return
    answers: list[dict[str, Any]] = []
    problems: list[_Problem] = []
    parts = question.answers()
    for part in parts:
        try:
            answers.append(_answer(part, context))
        except _Problem as problem:
            problems.append(problem)
    if answers and question.value.get("is_impossible"):
        problems.append(question.error("is_impossible", "is true, yet there are answers; give answers: [] or false"))
    found = any(isinstance(part, _Node) and "answer_start" not in part.value for part in parts)
    row = {"id": name, "title": title, "question": asked, "context": context, "answers": answers, "found": found}
    yield problems or row


def _answer(part: _Node | _Problem, context: str) -> dict[str, Any]:
    if isinstance(part, _Problem):
        raise part
    if part.value.get("text") == "":
        raise part.error("text", "is empty; a question that the context does not answer has answers: []")
    text = part.text("text")
    if "answer_start" not in part.value and (found := place_alone(context, text)) is not None:
        return {"text": text, "answer_start": found}
    start = part.number("answer_start")
    if problem := place_problem(context, text, start):
        raise part.error("answer_start", problem)
    return {"text": text, "answer_start": start}


def place_alone(context: str, text: str) -> int | None:
    """The only place of an answer; None where it has none, or several."""
    places = list(_places(context, text))
    return places[0] if len(places) == 1 else None


def place_problem(context: str, text: str, start: int) -> str:
    """What is wrong with an answer's ``answer_start``, and where its text is; "" for nothing."""
    if not 0 <= start < len(context):
        problem = f"is {start}, but the context ends at {len(context) - 1}"
    elif not context.startswith(text, start):
        problem = f"is {start}, where the context has {_quote(context[start : start + len(text)])}"
    else:
        return ""
    return f"{problem}; {_position_hint(context, text, start)}"


def _position_hint(context: str, text: str, start: int) -> str:
    places = list(_places(context, text))
    if not places:
        return f"the text {_quote(text)} is nowhere in it"
    nearest = min(places, key=lambda place: abs(place - start))
    hint = unit_hint(lambda unit: code_points(context, start, unit) in places)
    return f"the text {_quote(text)} is at {nearest}{hint}"


def _places(context: str, text: str) -> Iterator[int]:
    place = context.find(text)
    while place >= 0:
        yield place
        place = context.find(text, place + 1)


def _json(path: Path, encoding: str | None) -> Any:
    text = text_of(path, encoding)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = getattr(error, "msg", "nested too deeply, or a number of thousands of digits")
        raise InputError(f"{path.name}{line}: not valid JSON ({reason})") from None


def _quote(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
