"""SQuAD JSON, 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018), as one row a question.

``answer_start`` counts Unicode code points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import InputError
from serving.tasks.inputs import encodable, json_type
from trainer.data.offsets import code_points, unit_hint
from trainer.data.table import Table, text_of

COLUMNS = ("id", "title", "question", "context", "answers")

_SHOWN = 60


def is_squad(content: object) -> bool:
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list):
        return False
    return not data or any(isinstance(article, dict) and "paragraphs" in article for article in data)


def read_squad(path: Path, encoding: str | None = None) -> Table:
    """One question a row; raises InputError naming article, paragraph, question and field."""
    content = _json(path, encoding)
    if not is_squad(content):
        raise InputError(
            f'{path.name}: is no SQuAD file; give {{"data": [{{"paragraphs": [{{"context": …, "qas": …}}]}}]}}'
        )
    rows = list(_rows(_Node(path.name, content)))
    if not rows:
        raise InputError(f"{path.name}: has no question; give at least one in the qas of a paragraph")
    return Table(path.name, {name: [row[name] for row in rows] for name in COLUMNS}, {})


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

    def parts(self, field: str, noun: str, name: str = "") -> Iterator[_Node]:
        """The objects of a list, each with its ``noun`` and number in ``where``."""
        for number, value in enumerate(self._get(field, list, "a list"), 1):
            if not isinstance(value, dict):
                raise self.error(f"{field}[{number - 1}]", f"is {json_type(value)}; an object is accepted")
            label = f" ({_quote(str(value[name]))})" if value.get(name) else ""
            yield _Node(f"{self.where}, {noun} {number}{label}", value)

    def answers(self) -> Iterator[_Node]:
        for at, part in enumerate(self.parts("answers", "answer")):
            yield _Node(self.where, part.value, f"answers[{at}].")

    def number(self, field: str) -> int:
        return int(self._get(field, int, "a whole number"))

    def error(self, field: str, problem: str) -> InputError:
        return InputError(f"{self.where}: {self.path}{field} {problem}", field=f"{self.path}{field}")

    def _get(self, field: str, kind: type, accepted: str) -> Any:
        if field not in self.value:
            raise self.error(field, f"is missing; {accepted} is accepted")
        value = self.value[field]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(field, f"is {json_type(value)}; {accepted} is accepted")
        return value


def _rows(file: _Node) -> Iterator[dict[str, Any]]:
    for article in file.parts("data", "article", "title"):
        title = article.text("title") if article.value.get("title") else ""
        for paragraph in article.parts("paragraphs", "paragraph"):
            context = paragraph.text("context")
            for question in paragraph.parts("qas", "question", "id"):
                yield _row(question, title, context)


def _row(question: _Node, title: str, context: str) -> dict[str, Any]:
    number = question.value.get("id")
    answers = [_answer(part, context) for part in question.answers()]
    if answers and question.value.get("is_impossible"):
        raise question.error("is_impossible", "is true, yet there are answers; give answers: [] or false")
    return {
        "id": str(number) if type(number) is int else question.text("id"),
        "title": title,
        "question": question.text("question"),
        "context": context,
        "answers": answers,
    }


def _answer(part: _Node, context: str) -> dict[str, Any]:
    if part.value.get("text") == "":
        raise part.error("text", "is empty; a question that the context does not answer has answers: []")
    text, start = part.text("text"), part.number("answer_start")
    if not 0 <= start < len(context):
        problem = f"is {start}, but the context ends at {len(context) - 1}"
    elif not context.startswith(text, start):
        problem = f"is {start}, where the context has {_quote(context[start : start + len(text)])}"
    else:
        return {"text": text, "answer_start": start}
    raise part.error("answer_start", f"{problem}; {_position_hint(context, text, start)}")


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
