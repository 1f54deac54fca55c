"""Columns that may be the answer to learn: labels, several labels, numbers; the best first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onboarding.init.names import LABELS, SCORES, is_id, rank
from onboarding.init.profile import Column, is_number, parse_if_nested
from onboarding.init.roles import Asked
from trainer.data.table import Table
from trainer.tasks.label_lists import vector_length
from trainer.tasks.labels import find_joined

CLASSES, LABELS_OF, NUMBERS = "text-classification", "multi-label-classification", "regression"
VECTORS = "feature-extraction"
_GENERIC = ("label", "class", "target", "y")
"""Names of an answer, which no label among several has."""

FEW_NUMBERS = 20
"""Up to so many different whole numbers are taken as classes."""


@dataclass(frozen=True)
class Answer:
    """``why`` says what the column holds, ``chosen`` why it and no other; ``data`` are further keys of the recipe."""

    task: str
    label: str | tuple[str, ...]
    why: str
    chosen: str = ""
    score: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    alternatives: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_answers(table: Table, columns: Mapping[str, Column], asked: Asked, *, pair: bool) -> list[Answer]:
    """Those that the user's task and labels leave, the best first; none if nothing looks like an answer."""
    if len(asked.label) > 1:
        return [_flag_columns(asked.label, "--label names them")]
    wanted = [columns[name] for name in asked.label if name in columns] or list(columns.values())
    found = [answer for column in wanted for answer in _answers(table, column, asked, pair)]
    if not asked.label and (flags := several_flags(columns)) and asked.task in (None, LABELS_OF):
        found = [each for each in found if each.label not in flags or each.label in _GENERIC]
        found.append(_flag_columns(flags, "columns of 0 and 1 alone"))
    found = [each for each in found if asked.task in (None, each.task)]
    if asked.label:
        return [_chosen(each, "--label names it") for each in found]
    ranked = sorted(found, key=lambda each: -each.score)
    return [_chosen(ranked[0], _why_chosen(ranked)), *ranked[1:]] if ranked else []


def _chosen(answer: Answer, why: str) -> Answer:
    return replace(answer, chosen=answer.chosen or why)


def several_flags(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Columns of 0 and 1, where there are at least two that no name makes something else."""
    flags = tuple(name for name, column in columns.items() if column.kind == "flag" and not column.missing)
    return flags if len(flags) > 1 else ()


def _flag_columns(names: Sequence[str], chosen: str) -> Answer:
    why = f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}: a column for each label"
    return Answer(LABELS_OF, tuple(names), why, chosen, score=2.5)


def _answers(table: Table, column: Column, asked: Asked, pair: bool) -> list[Answer]:
    """What a column may be learned as, the likeliest first."""
    if column.kind == "list":
        return _lists(table, column)
    if column.kind in ("category", "flag"):
        scores = column.kind == "flag" and asked.task in (VECTORS, NUMBERS) and all(map(is_number, column.values))
        return _scores(column, pair, 0.4) if scores else _classes(column)
    if column.kind == "number":
        return _numbers(column, asked, pair)
    if asked.label and column.kind in ("text", "id") and asked.task in (None, CLASSES):
        return [Answer(CLASSES, column.name, f"{column.name!r} has {column.distinct} labels, one a row")]
    return []


def _named(column: Column, kind: float) -> float:
    """The score of a column by its name and what it holds; identifiers are none."""
    named = rank(column.name, LABELS)
    missing = column.missing / max(column.missing + len(column.values), 1)
    return kind + (2 + named / len(LABELS) if named else 0) - 2 * missing - (3 if is_id(column.name) else 0)


def _classes(column: Column) -> list[Answer]:
    counts = Counter(map(str, column.values))
    if joined := find_joined(sorted(counts)):
        return [_joined(column, joined[1], counts)]
    why = f"{column.name!r} has {len(counts)} labels, one a row"
    found = Answer(CLASSES, column.name, why, score=_named(column, 1.0), notes=_flag_notes(column, counts))
    return [found]


def _flag_notes(column: Column, counts: Counter[str]) -> list[str]:
    if set(counts) <= {"0", "1"}:
        return ["data.label_names: the labels are called 0 and 1; give names, such as [negative, positive]"]
    return []


def _joined(column: Column, separator: str, counts: Counter[str]) -> Answer:
    labels = {part.strip() for text in counts for part in text.split(separator)} - {""}
    why = f"{column.name!r} has several labels a row with {separator!r} between them, {len(labels)} in all"
    alone = f"--task {CLASSES}, if a text such as {next(text for text in counts if separator in text)!r} is one label"
    data = {"label_separator": separator}
    reasons = {"data.label_separator": "parts of one row's text are the labels of others"}
    return Answer(LABELS_OF, column.name, why, "", _named(column, 1.2), data, reasons=reasons, alternatives=[alone])


def _lists(table: Table, column: Column) -> list[Answer]:
    rows = [parse_if_nested(value) for value in column.values]
    if any(isinstance(row, dict) for row in rows):
        return [Answer(LABELS_OF, column.name, f"{column.name!r} has 0 and 1 by label", score=_named(column, 1.2))]
    items = [item for row in rows if isinstance(row, (list, tuple)) for item in row]
    if any(isinstance(item, (list, dict)) for item in items) or not items:
        return []
    if length := _vector_length(rows):
        return [_vectors(column, length)]
    if all(isinstance(row, (list, tuple)) and len(row) == 1 for row in rows):
        return [Answer(CLASSES, column.name, f"{column.name!r} has lists of one label", score=_named(column, 1.0))]
    labels = len(set(map(str, items)))
    if labels > max(50, len(rows)):
        return []
    why = f"{column.name!r} has lists of labels, {labels} in all"
    return [Answer(LABELS_OF, column.name, why, score=_named(column, 1.2))]


def _vector_length(rows: Sequence[Any]) -> int | None:
    try:
        return vector_length(rows, None)
    except ValueError:  # a single 0 or 1 a row
        return None


def _vectors(column: Column, length: int) -> Answer:
    names = [f"label_{number}" for number in range(length)]
    note = f"data.label_names: the {length} labels' names are unknown; put them in the place of {names[0]} …"
    why = f"{column.name!r} has 0 or 1 for each of {length} labels"
    reasons = {"data.label_names": "PUT THE NAMES HERE, in the order of the numbers; the file does not tell them"}
    return Answer(
        LABELS_OF, column.name, why, "", _named(column, 1.2), {"label_names": names}, reasons=reasons, notes=[note]
    )


def _numbers(column: Column, asked: Asked, pair: bool) -> list[Answer]:
    """Few whole numbers are classes first, all others numbers."""
    named = rank(column.name, LABELS) or rank(column.name, SCORES) or asked.label
    if column.whole and column.distinct == len(column.values) and not named:
        return []  # they count the rows
    if not (column.whole and column.distinct <= min(FEW_NUMBERS, max(2, len(column.values) / 2))):
        return _scores(column, pair, 0.8)
    note = f"data.label_names: the labels are called {_some(column)}; give names, if they have any"
    why = f"{column.name!r} has {column.distinct} different whole numbers, taken as classes"
    ordered = [f"--task {NUMBERS}, if their order counts"]
    classes = Answer(CLASSES, column.name, why, "", _named(column, 0.9), alternatives=ordered, notes=[note])
    return [classes, *_scores(column, pair, 0.4)]


def _scores(column: Column, pair: bool, kind: float) -> list[Answer]:
    """Numbers of texts; of pairs, how similar these are, first."""
    score = _named(column, kind)
    why = f"{column.name!r} has numbers from {_low(column):g} to {_high(column):g}"
    numbers = Answer(NUMBERS, column.name, why, "", score)
    if not pair:
        return [numbers]
    similar = f"{column.name!r} has a number for each pair: how similar its texts are"
    slower = [f"--task {NUMBERS}, a cross-encoder: slower, more exact"]
    return [Answer(VECTORS, column.name, similar, "", score + 0.1, alternatives=slower), numbers]


def _some(column: Column) -> str:
    distinct = sorted({float(value) for value in column.values})
    return ", ".join(f"{value:g}" for value in distinct[:4]) + (" …" if len(distinct) > 4 else "")


def _low(column: Column) -> float:
    return min(float(value) for value in column.values)


def _high(column: Column) -> float:
    return max(float(value) for value in column.values)


def _why_chosen(ranked: Sequence[Answer]) -> str:
    others = dict.fromkeys(spell(each.label) for each in ranked[1:] if each.label != ranked[0].label)
    if not others:
        return "the only column that looks like an answer"
    by_name = "its name says so" if rank(spell(ranked[0].label), LABELS) else "it looks most like one"
    return f"{by_name}; {', '.join(list(others)[:3])} could be one too"


def spell(label: str | tuple[str, ...]) -> str:
    return repr(label) if isinstance(label, str) else ", ".join(map(repr, label))
