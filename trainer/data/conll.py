"""CoNLL files as sentences: a line a token with its tag, a blank line between two sentences.

Read are CoNLL-2003, WNUT17 and their like. Columns are separated by tabs, or by spaces in a line without a tab; the
first is the token, the last its tag. ``column_names`` say otherwise: GermEval 2014 is
``("index", "tokens", "tags", "nested")``. A token is kept as it is written, whatever Unicode spaces it holds.
``-DOCSTART-`` lines are passed over, and so are comments: a line that begins with ``#`` and a space or a tab and
ends in no tag.

Tags are ``O``, or a letter, a hyphen and a type: IOB1, IOB2 (also called BIO), BIOES, BILOU and BMES are accepted.
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
    """The sentences of a CoNLL file, one a row, tags as they are written (``to_bio`` makes BIO tags of them).

    Columns of the table: ``tokens`` and ``tags``, lists of text of equal length; ``line``, the line on which the
    sentence begins, the first being 1; and each other one that ``column_names`` name, a list of text like ``tokens``.
    Raises InputError with the file and the line of what cannot be read.
    """
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
    """Whether ``tag`` is one of a scheme that is accepted."""
    return _TAG.fullmatch(tag) is not None


def to_bio(tags: Sequence[str]) -> list[str]:
    """One sentence's tags of any accepted scheme as BIO tags (IOB2): B- begins an entity, I- goes on with it.

    An ill-formed sequence is read as conlleval reads it: what cannot go on with the entity before it begins a new one.
    Raises InputError with the place of what is no tag.
    """
    bio: list[str] = []
    before = OUTSIDE
    for at, tag in enumerate(tags):
        if not is_tag(tag):
            raise InputError(f"tags[{at}]: {_no_tag(tag)}", field=f"tags[{at}]")
        bio.append(OUTSIDE if tag == OUTSIDE else ("I-" if _goes_on(before, tag) else "B-") + tag[2:])
        before = tag
    return bio


def _goes_on(before: str, tag: str) -> bool:
    return tag[0] in _INSIDE and before[0] not in _LAST and before[2:] == tag[2:]


def _sentences(path: Path, width: int) -> Iterator[_Sentence]:
    """Lines grouped to sentences; ``width``: the columns that a line must have, 0 for those of the first."""
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
    """A line of the token # with its tag is none, nor is one that has a tab and every column but a wrong tag."""
    if not text.startswith(("# ", "#\t")) or (len(fields) > 1 and is_tag(fields[-1])):
        return False
    return "\t" not in text or len(fields) != width


def _check_width(path: Path, line: _Line, width: int) -> None:
    found = len(line.fields)
    if found == width or (not width and found > 1):
        return
    expected = f"there are {width}" if width else "there must be at least 2"
    raise InputError(
        f"{path.name}, line {line.number}: has {found} {'column' if found == 1 else 'columns'}, but {expected};"
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
    """A file whose first column counts the tokens, as GermEval's does, must not be read as one about numbers."""
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
                raise InputError(f"{path.name}, line {line.number}: {_no_tag(tag)}")


def _no_tag(tag: str) -> str:
    return f"{tag!r} is no tag; accepted are {ACCEPTED_TAGS}"
