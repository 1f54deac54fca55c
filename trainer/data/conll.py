"""CoNLL files: a token and its tag on each line, a blank line after each sentence.

Columns are separated by tabs, or else by spaces; the first is the token and the last its tag, unless ``column_names``
say otherwise. ``-DOCSTART-`` lines and comments (``# …`` without a tag) are skipped. Tags may be IOB1, IOB2 (BIO),
BIOES, BILOU or BMES.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from serving.errors import InputError
from serving.tasks.token_classification import OUTSIDE
from trainer.data.table import Table, text_of

TOKENS, TAGS, LINE = "tokens", "tags", "line"
ACCEPTED_TAGS = "O, and B-, I-, E-, S-, L-, U- or M- with a type, such as B-person"

_TAG = re.compile(r"O|[BIESLUM]-\S+")
_INSIDE = "IMEL"
_LAST = "ELSU"


class _Line(NamedTuple):
    number: int
    fields: list[str]


_Sentence = list[_Line]


def read_conll(path: Path, column_names: Sequence[str] | None = None) -> Table:
    """One sentence a row: its ``tokens``, ``tags`` as written, and first ``line``; raises InputError."""
    if column_names:
        _check_names(path, column_names)
    sentences = list(_sentences(path, len(column_names or ())))
    if not sentences:
        raise InputError(f"{path.name}: is empty; give a token and its tag a line, a blank line after each sentence")
    width = len(sentences[0][0].fields)
    names = column_names or (TOKENS, *[""] * (width - 2), TAGS)
    if not column_names:
        _refuse_index(path, sentences)
    columns = {name: _column(sentences, at) for at, name in enumerate(names) if name}
    _check_values(path, sentences, columns)
    return Table(path.name, {**columns, LINE: [sentence[0].number for sentence in sentences]}, {})


@lru_cache(maxsize=1024)  # a file has a few tags, and each of them thousands of times
def is_tag(tag: str) -> bool:
    return _TAG.fullmatch(tag) is not None


def to_bio(tags: Sequence[str]) -> list[str]:
    """One sentence's tags as BIO (IOB2); raises InputError.

    As in conlleval, a tag that cannot continue the entity before it begins a new one.
    """
    bio: list[str] = []
    before = OUTSIDE
    for at, tag in enumerate(tags):
        if not is_tag(tag):
            raise InputError(f"tags[{at}]: {_tag_problem(tag)}", field=f"tags[{at}]")
        bio.append(OUTSIDE if tag == OUTSIDE else ("I-" if _continues(before, tag) else "B-") + tag[2:])
        before = tag
    return bio


def _continues(before: str, tag: str) -> bool:
    return tag[0] in _INSIDE and before[0] not in _LAST and before[2:] == tag[2:]


def _sentences(path: Path, width: int) -> Iterator[_Sentence]:
    sentence: _Sentence = []
    for number, text in enumerate(text_of(path).split("\n"), 1):
        line = _Line(number, _fields(text))
        if not text.strip() or "-DOCSTART-" in line.fields:
            if sentence:
                yield sentence
            sentence = []
        elif not _is_comment(text, line.fields, width):
            _check_width(path, line, width)
            width = len(line.fields)
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


def _check_width(path: Path, line: _Line, width: int) -> None:
    fields = len(line.fields)
    if fields == width or (not width and fields > 1):
        return
    expected = f"there are {width}" if width else "there must be at least 2"
    raise InputError(
        f"{path.name}, line {line.number}: has {fields} {'column' if fields == 1 else 'columns'}, but {expected};"
        " give a token and its tag, separated by a tab or by spaces, and the same columns on every line"
    )


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or LINE in names or not {TOKENS, TAGS} <= set(names):
        raise InputError(
            f"{path.name}: data.column_names are {', '.join(names)}; give each column of the file a name of its own,"
            f" {TOKENS!r} and {TAGS!r} among them, and none {LINE!r}",
            field="data.column_names",
        )


def _refuse_index(path: Path, sentences: Sequence[_Sentence]) -> None:
    """Of GermEval, where the first column counts the tokens."""
    counted = all(line.fields[0] == str(at) for sentence in sentences for at, line in enumerate(sentence, 1))
    if counted and len(sentences[0][0].fields) > 2:
        raise InputError(
            f"{path.name}: the first column counts the tokens of each sentence, so it is not the token;"
            f" name the columns, such as data.column_names: [index, {TOKENS}, {TAGS}]",
            field="data.column_names",
        )


def _column(sentences: Sequence[_Sentence], at: int) -> list[list[str]]:
    return [[line.fields[at] for line in sentence] for sentence in sentences]


def _check_values(path: Path, sentences: Sequence[_Sentence], columns: dict[str, list[list[str]]]) -> None:
    for sentence, tokens, tags in zip(sentences, columns[TOKENS], columns[TAGS], strict=True):
        for line, token, tag in zip(sentence, tokens, tags, strict=True):
            if not token:
                raise InputError(f"{path.name}, line {line.number}: has no token before its first tab")
            if not is_tag(tag):
                raise InputError(f"{path.name}, line {line.number}: {_tag_problem(tag)}")


def _tag_problem(tag: str) -> str:
    return f"{tag!r} is no tag; accepted are {ACCEPTED_TAGS}"
