"""Entities as offsets into a text, as annotation tools export them: doccano, Label Studio, spaCy, Prodigy.

An entity is ``[start, end, type]`` or an object with such keys; offsets count Unicode code points, ends are exclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from serving.errors import InputError, quote
from serving.tasks.inputs import json_type
from serving.tasks.spans import split_words, trim
from serving.tasks.token_classification import OUTSIDE
from trainer.data.offsets import code_points, unit_hint

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
    as_written = sorted({_trimmed(text, span)[:3]: span for span in spans}.values(), key=lambda span: span[:3])
    if problems := [*_problems(text, as_written, words)]:
        raise InputError("; ".join(problems))
    spans = [_trimmed(text, span) for span in as_written]
    tags = [OUTSIDE] * len(words)
    for span in spans:
        inside = [at for at, (start, _) in enumerate(words) if span.start <= start < span.end]
        for place, at in enumerate(inside):
            tags[at] = f"{'I' if place else 'B'}-{span.type}"
    return [list(word) for word in words], tags


def has_spaces(text: str, span: Span) -> bool:
    """Whether white space at its ends is left out."""
    return _trimmed(text, span) != span


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
    if isinstance(value, str) and value.strip().isdecimal():
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
        if span.start >= span.end:
            return "has no characters; the end is the place after its last one"
        if not 0 <= span.start < span.end <= len(text):
            return f"is outside of the text, which has {len(text)} characters"
        found = text[span.start : span.end]
        if span.text is not None and found != span.text and found.split() != span.text.split():
            return f"has {quote(found)} there, not {quote(span.text)}"
        if span.start not in starts or span.end not in ends:
            return f"is {quote(found)}, which {_part_of(text, words, span, starts)}"
        return ""

    def fit(moved: Sequence[Span]) -> bool:
        return list(moved) != list(spans) and not any(problem_of(_trimmed(text, each)) for each in moved)

    def counted_in(unit: str) -> bool:
        return fit([each._replace(start=code_points(text, each.start, unit), end=code_points(text, each.end, unit))
                    for each in spans])  # fmt: skip

    hint = unit_hint(counted_in)
    if not hint and fit([each._replace(end=each.end + 1) for each in spans]):
        hint = "; ends seem to be the last character's place, and must be the one after it"
    elif not hint and fit([each._replace(start=each.start - 1, end=each.end - 1) for each in spans]):
        hint = "; offsets seem to be counted from 1, and must be from 0"
    for before, span in zip([None, *spans], spans, strict=False):
        named = f"entity [{span.start}, {span.end}, {quote(span.type)}]"
        if problem := problem_of(_trimmed(text, span)):
            yield f"{named} {problem}{hint}"
        elif before is not None and span.start < before.end:
            yield f"{named} overlaps [{before.start}, {before.end}, {quote(before.type)}]; a word has one tag"


def _part_of(text: str, words: Sequence[tuple[int, int]], span: Span, starts: set[int]) -> str:
    edge = span.start if span.start not in starts else span.end - 1
    word = next(((start, end) for start, end in words if start <= edge < end), None)
    verb = "begins" if span.start not in starts else "ends"
    if word is None:
        return f"{verb} in white space"
    return f"{verb} inside the word {quote(text[slice(*word)])} ({word[0]} to {word[1]}); an entity has whole words"
