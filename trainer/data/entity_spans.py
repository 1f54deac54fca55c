"""Entities as offsets into a text, as annotation tools export them: doccano, Label Studio, spaCy, Prodigy.

An entity is ``[start, end, type]`` or an object with such keys; offsets count Unicode code points, ends are exclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from serving.errors import InputError, quote
from serving.tasks.inputs import json_type
from serving.tasks.spans import split_words, trim
from serving.tasks.token_classification import OUTSIDE
from trainer.data.offsets import code_points, unit_hint
from trainer.data.table import Table

SPAN_COLUMNS = ("label", "labels", "entities", "spans", "ents", "annotations", "tags")
"""What tools call the column, most usual first."""

_KEYS = {
    "start": ("start", "start_offset", "startOffset", "start_char", "begin"),
    "end": ("end", "end_offset", "endOffset", "end_char"),
    "type": ("label", "labels", "entity_group", "entity", "entity_type", "type", "tag", "class"),
    "text": ("text", "word", "value"),
}
_ACCEPTED = 'give [start, end, "type"], or {"start": …, "end": …, "label": …}'


class Span(NamedTuple):
    start: int
    end: int
    type: str
    text: str | None


def are_spans(values: Sequence[Any]) -> bool:
    """Whether these are lists of entities, and one is not empty."""
    filled = [value for value in values if isinstance(value, (list, tuple)) and value]
    return bool(filled) and all(isinstance(value[0], (list, tuple, dict)) for value in filled)


def read_spans(value: Any, name: str) -> list[Span]:
    """A row's entities; raises InputError."""
    if isinstance(value, dict) and isinstance(value.get("entities"), list):
        value = value["entities"]  # spaCy's annotations beside a text
    if not isinstance(value, (list, tuple)):
        found = "is missing" if value is None else f"is {json_type(value)}"
        raise InputError(f"{name} {found}; a list of entities is needed, empty for a text without one")
    return [_read_span(each, f"{name}[{at}]") for at, each in enumerate(value)]


def tag_words(text: str, spans: Sequence[Span]) -> tuple[list[list[int]], list[str]]:
    """The text's words and their BIO tags; raises InputError with everything that is wrong with the entities."""
    words = split_words(text)
    spans = sorted({_trimmed(text, span)[:3]: _trimmed(text, span) for span in spans}.values())
    if problems := [*_problems(text, spans, words)]:
        raise InputError("; ".join(problems))
    tags = [OUTSIDE] * len(words)
    for span in spans:
        inside = [at for at, (start, _) in enumerate(words) if span.start <= start < span.end]
        for place, at in enumerate(inside):
            tags[at] = f"{'I' if place else 'B'}-{span.type}"
    return [list(word) for word in words], tags


def has_spaces(text: str, span: Span) -> bool:
    """Whether white space at its ends is left out."""
    return _trimmed(text, span) != span


def without_label_studio(table: Table, text: str, label: str) -> Table:
    """Label Studio's tasks as columns of texts and entities with these names; any other table as it is.

    ``text`` names the text among a task's data, where there are several.
    """
    if not {"annotations", "data"} <= table.columns.keys() and not {"completions", "data"} <= table.columns.keys():
        return table
    results = table.columns.get("annotations") or table.columns["completions"]
    tasks = list(zip(table.columns["data"], results, strict=True))
    if not all(isinstance(data, dict) for data, _ in tasks):
        return table
    texts = [_text_of_task(data, text) for data, _ in tasks]
    spans = [_spans_of_task(table, row, listed) for row, (_, listed) in enumerate(tasks, 1)]
    return replace(table, columns={text: texts, label: spans})


def without_rejected(table: Table) -> None:
    """Prodigy keeps what the annotator rejected or ignored; adds to the table's problems."""
    if not {"answer", "_input_hash"} & table.columns.keys() or "spans" not in table.columns:
        return
    for row, answer in enumerate(table.columns.get("answer", []), 1):
        if answer not in ("accept", None):
            table.problems.add(row, f"answer is {quote(answer)}; only rows whose annotation was accepted are used")


def pair_as_row(value: Any) -> Any:
    """spaCy's ``[text, {"entities": [...]}]`` as an object; anything else as it is."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return {"text": value[0], **value[1]}
    return value


def annotated_pairs(content: Mapping[str, Any]) -> list[Any]:
    """spaCy's pairs beside the names of their types, as annotators for it write them; none of anything else."""
    pairs = content.get("annotations")
    found = [pair_as_row(pair) for pair in pairs if pair] if isinstance(pairs, list) else []
    return found if "classes" in content and all(isinstance(each, dict) for each in found) else []


def _text_of_task(data: Mapping[str, Any], name: str) -> Any:
    return data.get(name) or next((value for value in data.values() if isinstance(value, str)), None)


def _spans_of_task(table: Table, row: int, annotations: Any) -> Any:
    """Those of a task's only annotation, or of several that are equal."""
    kept = [each for each in annotations or [] if isinstance(each, dict) and not each.get("was_cancelled")]
    found = [[*_values(each.get("result") or [])] for each in kept]
    if not found:
        table.problems.add(row, "has no annotation; annotate the task, or leave it out")
    elif any(sorted(map(str, each)) != sorted(map(str, found[0])) for each in found[1:]):
        table.problems.add(row, f"has {len(found)} annotations that differ; keep one of them")
    elif any("startOffset" in value for value in found[0]):
        table.problems.add(row, "has entities in hypertext; only entities in plain text are read")
    else:
        return found[0]
    return []


def _values(result: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Relations, choices and the like have no place in the text."""
    for each in result:
        value = each.get("value") if isinstance(each, dict) else None
        if isinstance(value, dict) and "start" in value and "end" in value:
            kind = value.get("labels") or value.get("hypertextlabels")
            yield {
                **{key: value[key] for key in value if key in ("start", "end", "text", "startOffset")},
                "label": kind,
            }


def _read_span(value: Any, name: str) -> Span:
    if isinstance(value, dict):
        found = {part: next((value[key] for key in keys if key in value), None) for part, keys in _KEYS.items()}
    elif isinstance(value, (list, tuple)) and len(value) == 3:
        found = dict(zip(("start", "end", "type"), value, strict=True))
    else:
        raise InputError(f"{name} is {quote(value)}; {_ACCEPTED}")
    kind = found["type"]
    if isinstance(kind, (list, tuple)) and len(kind) == 1:
        kind = kind[0]
    start, end, text = _offset(found["start"]), _offset(found["end"]), found.get("text")
    if start is None or end is None or not isinstance(kind, str) or not kind.strip():
        raise InputError(f"{name} is {quote(value)}; {_ACCEPTED}")
    return Span(start, end, kind.strip(), text if isinstance(text, str) else None)


def _offset(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _trimmed(text: str, span: Span) -> Span:
    if not 0 <= span.start < span.end <= len(text):
        return span
    start, end = trim(text, span.start, span.end)
    if start == end:
        return span
    return span._replace(start=start, end=end, text=span.text and span.text.strip())


def _problems(text: str, spans: Sequence[Span], words: Sequence[tuple[int, int]]) -> Iterator[str]:
    starts, ends = {start for start, _ in words}, {end for _, end in words}

    def problem_of(span: Span) -> str:
        if not 0 <= span.start < span.end <= len(text):
            return f"has a text of {len(text)} characters"
        found = text[span.start : span.end]
        if span.text is not None and found != span.text and found.split() != span.text.split():
            return f"has {quote(found)} there, not {quote(span.text)}"
        if span.start not in starts or span.end not in ends:
            return f"is {quote(found)}, which {_part_of(text, words, span, starts)}"
        return ""

    def fits(unit: str) -> bool:
        moved = [each._replace(start=code_points(text, each.start, unit), end=code_points(text, each.end, unit))
                 for each in spans]  # fmt: skip
        return moved != list(spans) and not any(problem_of(_trimmed(text, each)) for each in moved)

    for before, span in zip([None, *spans], spans, strict=False):
        if problem := problem_of(span):
            yield f"entity [{span.start}, {span.end}, {quote(span.type)}] {problem}{unit_hint(fits)}"
        elif before is not None and span.start < before.end:
            yield (
                f"entity [{span.start}, {span.end}, {quote(span.type)}] overlaps [{before.start}, {before.end},"
                f" {quote(before.type)}]; a word has one tag"
            )


def _part_of(text: str, words: Sequence[tuple[int, int]], span: Span, starts: set[int]) -> str:
    edge = span.start if span.start not in starts else span.end - 1
    word = next(((start, end) for start, end in words if start <= edge < end), None)
    verb = "begins" if span.start not in starts else "ends"
    if word is None:
        return f"{verb} in white space"
    return f"{verb} inside the word {quote(text[slice(*word)])} ({word[0]} to {word[1]}); an entity has whole words"
