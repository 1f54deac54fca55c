"""Reading texts with entities: lists of tokens and tags, offsets into a text, or a token a row.

Lists of tokens are joined by ``data.word_separator``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from serving.errors import InputError, quote
from serving.tasks.inputs import encodable, json_type
from trainer.data import columns
from trainer.data.entity_spans import (
    SPAN_COLUMNS,
    Span,
    are_spans,
    has_spaces,
    read_spans,
    tag_words,
)
from trainer.data.literals import parse_list, parse_nested
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table
from trainer.data.tags import are_types, to_bio
from trainer.data.token_rows import group_tokens, is_token_table, is_word_table
from trainer.tasks import labels as label_rows
from trainer.tasks.row_reader import RowReader
from trainer.tasks.word_tags import drop_unseen, may_be_unseen, word_places

TOKEN_COLUMNS, TAG_COLUMNS = ("tokens", "words"), ("tags", "ner_tags", "labels")
LONE_TOKEN_COLUMNS, LONE_TAG_COLUMNS = ("word", "token"), ("tag", "ner_tag", "label")


class TaggedRows(RowReader):
    """`word_tags` says what a target is."""

    default_text = TOKEN_COLUMNS[0]
    default_label = TAG_COLUMNS[0]
    annotation = "spans"

    def arrange(self, table: Table, labelled: bool | None) -> Table:
        table = super().arrange(table, labelled)
        for number, line in enumerate(table.columns.get("line", []), 1):
            table.problems.locate(number, f"line {line}")
        text, label = self._columns(table)
        words = not labelled and label not in table.columns and is_word_table(table, text)
        if words or is_token_table(table, text, label):
            table = group_tokens(table, text, label)
        if labelled is False:
            table = replace(table, columns={name: table.columns[name] for name in table.columns if name != label})
        return table

    def read_inputs(self, table: Table) -> list[Any]:
        text, _ = self._columns(table)
        if self._holds_texts(table):
            return columns.texts(table, "data.text", text)
        return columns.map_rows(table, self.data.word_separator.join, self._words(table, text))

    def read_targets(self, table: Table) -> list[Any]:
        text, label = self._columns(table)
        if not self._holds_texts(table):
            return self._without_unseen(table, self._tagged_words(table, text, label))
        texts = columns.texts(table, "data.text", text)
        columns.require_columns(table, "data.label", [label])
        spans = columns.map_rows(table, lambda value: read_spans(_parsed(value), label), table.columns[label])
        if count := sum(
            has_spaces(text, span)
            for text, listed in zip(texts, spans, strict=True)
            for span in (listed if UNUSABLE not in (text, listed) else ())
        ):
            table.notes.append(f"{count} entities are read without the white space at their ends")
        return self._without_unseen(table, columns.map_rows(table, _target_of_spans, texts, spans))

    def _without_unseen(self, table: Table, targets: list[Any]) -> list[Any]:
        """Without the tags of words that the tokenizer drops."""
        if self._tokenizer is None:
            return targets
        tokenizer, dropped = self._tokenizer, list[int]()

        def check(text: str, target: dict[str, Any]) -> dict[str, Any]:
            if may_be_unseen(text, target):
                window = tokenizer([text], add_special_tokens=False, verbose=False).encodings[0]
                dropped.append(drop_unseen(text, target, window))
            return target

        found = columns.map_rows(table, check, self.read_inputs(table), targets)
        if sum(dropped):
            table.notes.append(f"{sum(dropped)} tags of tokens that the model's tokenizer drops are read as O")
        return found

    def _columns(self, table: Table) -> tuple[str, str]:
        """Those of text and entities: the recipe's, or those that are usual for what the table holds."""
        has_lists = [name for name in TOKEN_COLUMNS if _holds_words(table.columns.get(name, []))]
        text, label = self.data.text, self.data.label if isinstance(self.data.label, str) else None
        if text is None:
            usual = [*has_lists, *_same_name(table, "text"), *_same_name(table, *LONE_TOKEN_COLUMNS)]
            text = next(iter(usual), self.default_text)
        if label is None:
            spans = [name for name in SPAN_COLUMNS if are_spans(_parsed_column(table, name))]
            tags = _same_name(table, *TAG_COLUMNS)
            lone = _same_name(table, *LONE_TAG_COLUMNS)
            usual = [*tags, *lone] if text in has_lists else [*spans, *tags, *lone, *_same_name(table, "entities")]
            label = next(iter(usual), self.default_label)
        return text, label

    def _holds_texts(self, table: Table) -> bool:
        """Whether a row is a text with offsets into it, and not a list of tokens with their tags."""
        text, label = self._columns(table)
        if label not in table.columns:  # rows without labels
            return text in table.columns and not _holds_words(table.columns[text])
        return not _holds_words(table.columns.get(text, [])) and not _holds_tags(_parsed_column(table, label))

    def _words(self, table: Table, name: str) -> list[Any]:
        columns.require_columns(table, "data.text", [name])
        return columns.map_rows(table, _checked(_split_words, name, _words_problem), table.columns[name])

    def _tagged_words(self, table: Table, text: str, label: str) -> list[Any]:
        columns.require_columns(table, "data.label", [label])
        values = columns.map_rows(table, _checked(_split_tags, label, _tags_problem), table.columns[label])
        tags = self._name_tags(table, label, values)
        types = are_types(tag for row in tags if row is not UNUSABLE for tag in row)
        if types:
            table.notes.append("tags are types without B- or I-: neighbouring tokens of one type are one entity")

        def target(words: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
            if len(words) != len(row):
                raise InputError(f"{label} has {len(row)} tags for {len(words)} tokens; give one a token")
            return {"words": word_places(words, self.data.word_separator), "tags": to_bio(row, types=types)}

        return columns.map_rows(table, target, self._words(table, text), tags)

    def _name_tags(self, table: Table, label: str, tags: list[Any]) -> list[Any]:
        """Tags as text; numbers become names of ``data.label_names`` or the data set's own."""
        texts = columns.map_rows(table, lambda row: [columns.label_name(tag) for tag in row], tags)
        distinct = {tag for row in texts if row is not UNUSABLE for tag in row}
        numbered = bool(distinct) and all(tag.removeprefix("-").isdecimal() for tag in distinct)
        names = label_rows.read_label_names(self.data) or table.label_names.get(label)
        if numbered and names is None:
            raise InputError(
                f"{table.name}: {label} are numbers; give the names of the tags in the numbers' order, such as"
                " data.label_names: [O, B-PER, I-PER]",
                field="data.label_names",
            )
        name_of = label_rows.naming(names if numbered else None, "tag")
        return columns.map_rows(table, lambda row: [name_of(tag) for tag in row], texts)


def _target_of_spans(text: str, spans: Sequence[Span]) -> dict[str, Any]:
    words, tags = tag_words(text, spans)
    return {"words": words, "tags": tags}


def _same_name(table: Table, *names: str) -> list[str]:
    """The table's columns of these names, written in any case."""
    return [column for name in names for column in table.columns if column.casefold() == name]


def _parsed(value: Any) -> Any:
    """A list that was written as text, as CSV has it."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "(", "{")):
        return value
    found = parse_list(value)
    return parse_nested(value) if found is None else found


def _parsed_column(table: Table, name: str) -> list[Any]:
    return [_parsed(value) for value in table.columns.get(name, [])]


def _split_words(value: Any) -> Any:
    """A text with its words or tags between spaces as a list."""
    value = _parsed(value)
    return value.split() if isinstance(value, str) else value


def _split_tags(value: Any) -> Any:
    """As words, or between commas; a whole number that pandas has made a float is one still."""
    found = _split_words(value)
    if found == [value] and "," in value:
        return value.split(",")
    if not isinstance(found, (list, tuple)):
        return found
    return [int(each) if isinstance(each, float) and each.is_integer() else each for each in found]


def _holds_words(values: Sequence[Any]) -> bool:
    """Whether these are lists of single values, and one is not empty."""
    lists = [parsed for value in values if isinstance(parsed := _parsed(value), (list, tuple)) and parsed]
    return bool(lists) and not any(isinstance(each[0], (list, tuple, dict)) for each in lists)


def _holds_tags(values: Sequence[Any]) -> bool:
    """Whether these are lists, or texts, of tags, so that a text beside them is split at its spaces."""
    lists = [value for value in values if isinstance(value, (list, tuple)) and value]
    texts = [value for value in values if isinstance(value, str)]
    return bool(texts) or (bool(lists) and all(isinstance(value[0], (str, int)) for value in lists))


def _checked(
    read: Callable[[Any], Any], name: str, problem_of: Callable[[Sequence[Any]], str | None]
) -> Callable[[Any], list[Any]]:
    def check(value: Any) -> list[Any]:
        found = read(value)
        if not isinstance(found, (list, tuple)):
            problem: str | None = (
                "is missing" if found is None else f"is {json_type(found)}; a list is needed, one element a token"
            )
        else:
            problem = problem_of(found) if found else "is an empty list"
        if problem:
            raise InputError(f"{name} {problem}")
        return [str(each) if not isinstance(each, bool) else each for each in found]

    return check


def _words_problem(values: Sequence[Any]) -> str | None:
    """A number without an exponent is the text that it was written as; of anything else, that is not known."""
    problems = (f"[{at}] {problem}" for at, value in enumerate(values) if (problem := _word_problem(value)))
    first = next(problems, None)
    return first and f"{first}{f' (and {more} more)' if (more := sum(1 for _ in problems)) else ''}"


def _word_problem(value: Any) -> str | None:
    if isinstance(value, str):
        if not value:
            return "is an empty text; leave the token and its tag out"
        return None if encodable(value) else "holds half of a surrogate pair, which is no character"
    if isinstance(value, (int, float)) and re.fullmatch(r"-?\d+(\.\d+)?", repr(value)):
        return None
    kind = "a date" if isinstance(value, date) else json_type(value)
    return f"is {quote(value)}, {kind}; write the token as text, in quotes"


def _tags_problem(values: Sequence[Any]) -> str | None:
    wrong = [(at, value) for at, value in enumerate(values) if not isinstance(value, (str, int)) or value == ""]
    return f"[{wrong[0][0]}] is {quote(wrong[0][1])}; a tag is text or a whole number" if wrong else None
