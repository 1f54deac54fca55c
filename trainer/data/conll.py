"""CoNLL files: a token and its tag on each line, a blank line after each sentence.

Columns are separated by tabs, or else by spaces; the first is the token and the last its tag, unless ``column_names``
say otherwise. ``-DOCSTART-`` lines and comments (``# …`` without a tag) are skipped. Where the first column counts the
tokens, as in CoNLL-U, the second is the token, and the tags are in the one column that holds nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.errors import InputError
from trainer.data.problems import UNUSABLE, RowProblems
from trainer.data.table import Table, lines_of, text_of
from trainer.data.tags import are_types, is_tag, tag_problem

TOKENS, TAGS, LINE = "tokens", "tags", "line"
_RANGE = re.compile(r"\d+[-.]\d+")
"""The number of a CoNLL-U line that is no word of its own: a group of words, or an omitted one."""


_COLUMNS = "give a token and its tag, separated by a tab or by spaces, and the same columns on every line"


class _Line(NamedTuple):
    number: int
    fields: list[str]


_Sentence = list[_Line]


def read_conll(path: Path, column_names: Sequence[str] | None = None, encoding: str | None = None) -> Table:
    """One sentence a row: its ``tokens``, ``tags`` as written, and first ``line``; raises InputError."""
    if column_names:
        _check_names(path, column_names)
    problems = RowProblems()
    sentences = list(_sentences(path, len(column_names or ()), encoding, problems))
    if not sentences:
        raise InputError(f"{path.name}: is empty; give a token and its tag a line, a blank line after each sentence")
    sentences = [_words(sentence) for sentence in sentences] if _counts_words(sentences) else sentences
    names, notes = (column_names, list[str]()) if column_names else _find_columns(path, sentences)
    columns = {name: _column(sentences, at) for at, name in enumerate(names) if name}
    lines = [sentence[0].number for sentence in sentences]
    table = Table(path.name, {**columns, LINE: lines}, problems=problems, notes=notes)
    _check_values(table, sentences)
    return table


def is_conll(text: str) -> bool:
    """Whether every line of ``text`` ends in a tag, apart from comments, so that it is no table with a header."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("# ")]
    fields = [_fields(line) for line in lines if "-DOCSTART-" not in line]
    return bool(fields) and all(len(each) > 1 and is_tag(each[-1]) for each in fields)


def _sentences(path: Path, width: int, encoding: str | None, problems: RowProblems) -> Iterator[_Sentence]:
    """A line with too few or too many columns is its sentence's problem; it is cut, or filled with blanks."""
    sentence: _Sentence = []
    count = 1
    for number, text in enumerate(lines_of(text_of(path, encoding)), 1):
        line = _Line(number, _fields(text))
        if not text.strip() or "-DOCSTART-" in line.fields:
            if sentence:
                yield sentence
                count += 1
            sentence = []
        elif not _is_comment(text, line.fields, width):
            width = width if sentence or count > 1 else _first_width(path, line, width)
            if problem := _width_problem(line, width):
                problems.add(count, problem, f"line {number}")
                line = _Line(number, [*line.fields, *[""] * width][:width])
            sentence.append(line)
    if sentence:
        yield sentence


def _fields(text: str) -> list[str]:
    text = text.rstrip(" \t\r")
    return text.split("\t") if "\t" in text else [field for field in text.split(" ") if field]


def _is_comment(text: str, fields: Sequence[str], width: int) -> bool:
    """The token # with its tag is none, nor is a line with every column but a wrong tag."""
    if not text.startswith(("# ", "#\t")) or (len(fields) > 1 and is_tag(fields[-1])):
        return False
    return "\t" not in text or len(fields) != width


def _first_width(path: Path, line: _Line, named: int) -> int:
    """Raises InputError where it has not the columns that are ``named``, or no tag."""
    fields = len(line.fields)
    if problem := _width_problem(line, named or max(fields, 2)):
        raise InputError(f"{path.name}, line {line.number}: {problem}")
    return fields


def _width_problem(line: _Line, width: int) -> str:
    fields = len(line.fields)
    if fields == width:
        return ""
    return f"has {fields} {'column' if fields == 1 else 'columns'}, and {width} are needed; {_COLUMNS}"


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or LINE in names or not {TOKENS, TAGS} <= set(names):
        raise InputError(
            f"{path.name}: data.column_names are {', '.join(names)}; give each column of the file a name of its own,"
            f" {TOKENS!r} and {TAGS!r} among them, and none {LINE!r}",
            field="data.column_names",
        )


def _counts_words(sentences: Sequence[_Sentence]) -> bool:
    """Whether the first of three columns or more counts the tokens of each sentence, as in CoNLL-U and GermEval."""
    if len(sentences[0][0].fields) < 3:
        return False
    return all(line.fields[0] == str(at) for sentence in sentences for at, line in enumerate(_words(sentence), 1))


def _words(sentence: _Sentence) -> _Sentence:
    return [line for line in sentence if not _RANGE.fullmatch(line.fields[0])] or sentence


def _find_columns(path: Path, sentences: Sequence[_Sentence]) -> tuple[list[str], list[str]]:
    """A name for each column that is read, and a note where they are not the first and the last."""
    width, counted = len(sentences[0][0].fields), _counts_words(sentences)
    token, tag = int(counted), width - 1
    if counted:
        tagged = [at for at in range(2, width) if all(is_tag(line.fields[at]) for each in sentences for line in each)]
        if len(tagged) != 1:
            raise _unnamed_columns(path, len(tagged))
        tag = tagged[0]
    names = [{token: TOKENS, tag: TAGS}.get(at, "") for at in range(width)]
    return names, [f"column 1 counts the tokens; {token + 1} is read as the token, {tag + 1} as its tag"] * counted


def _unnamed_columns(path: Path, tagged: int) -> InputError:
    return InputError(
        f"{path.name}: the first column counts the tokens of each sentence, so it is not the token, and"
        f" {tagged or 'no'} {'columns hold' if tagged else 'column holds'} tags in every line;"
        f" name the columns, such as data.column_names: [index, {TOKENS}, {TAGS}]",
        field="data.column_names",
    )


def _column(sentences: Sequence[_Sentence], at: int) -> list[list[str]]:
    return [[line.fields[at] for line in sentence] for sentence in sentences]


def _check_values(table: Table, sentences: Sequence[_Sentence]) -> None:
    """Adds to the table's problems."""
    every = zip(sentences, table.columns[TOKENS], table.columns[TAGS], strict=True)
    types = are_types(tag for tags in table.columns[TAGS] for tag in tags if tag)
    for number, (sentence, tokens, tags) in enumerate(every, 1):
        if number in table.problems:
            continue
        for line, token, tag in zip(sentence, tokens, tags, strict=True):
            if not token:
                table.problems.add(number, "has no token before its first tab", f"line {line.number}")
            if not is_tag(tag) and not types:
                table.problems.add(number, tag_problem(tag), f"line {line.number}")
    for name in (TOKENS, TAGS):
        values = table.columns[name]
        table.columns[name] = [UNUSABLE if at in table.problems else value for at, value in enumerate(values, 1)]
