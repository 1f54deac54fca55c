"""Tables with a token a row, as Kaggle's entity corpora have them: grouped into sentences by a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.errors import InputError
from trainer.data.problems import UNUSABLE, Unusable
from trainer.data.table import Table

_SENTENCE = frozenset(
    {
        "sentence", "sentenceid", "sentenceidx", "sentenceindex", "sentenceno", "sentencenumber", "sentencenr", "sent",
        "sentid", "sentidx", "sentno", "sentencenum",
    }
)  # fmt: skip
"""Names of the column that tells sentences apart, without case and marks."""


def is_token_table(table: Table, text: str, label: str) -> bool:
    """Whether both columns hold plain texts, of which no tag has a space, so that a row is one token."""
    if not {text, label} <= table.columns.keys() or text == label:
        return False
    values = [*table.columns[text], *table.columns[label]]
    if not all(value is None or isinstance(value, (str, int, float, Unusable)) for value in values):
        return False
    tags = [str(tag).strip() for tag in table.columns[label] if tag is not UNUSABLE]
    return "O" in tags and all(" " not in tag and not tag.startswith("[") for tag in tags)


def is_word_table(table: Table, text: str) -> bool:
    """Whether a row is one token, of a table without tags."""
    words = [value for value in table.columns.get(text, []) if value is not UNUSABLE]
    alone = all(isinstance(word, (str, int, float)) and " " not in str(word) for word in words if word is not None)
    return bool(words) and alone and any(map(tells_sentences, table.columns))


def group_tokens(table: Table, text: str, label: str) -> Table:
    """One sentence a row, its tokens and tags in lists; raises InputError where no column tells sentences apart."""
    name = _sentence_column(table, text, label)
    groups = _groups(table, name)
    columns: dict[str, list[Any]] = {
        column: [_gather(table.columns[column], group) for group in groups]
        for column in (text, label)
        if column in table.columns
    }
    table.notes.append(f"{len(table)} rows of one token each are {len(groups)} sentences, by the column {name!r}")
    table.problems.regroup([[at + 1 for at in group] for group in groups])
    return Table(table.name, columns, table.label_names, table.problems, table.notes)


def _gather(values: Sequence[Any], places: Sequence[int]) -> Any:
    found = [values[at] for at in places]
    return UNUSABLE if UNUSABLE in found else found


def tells_sentences(column: str) -> bool:
    return "".join(filter(str.isalnum, column)).casefold() in _SENTENCE


def _sentence_column(table: Table, text: str, label: str) -> str:
    others = [column for column in table.columns if column not in (text, label)]
    for column in others:
        if tells_sentences(column):
            return column
    raise InputError(
        f"{table.name}: {text!r} has one token a row, and no column tells the sentences apart; give a column"
        f" 'sentence_id' with the number of each token's sentence, or a file with a list of tokens a row. Columns"
        f" there: {', '.join(table.columns)}",
        field="data.text",
    )


def _groups(table: Table, name: str) -> list[Sequence[int]]:
    """The rows of each sentence: one begins where the column has another value; a blank one goes on."""
    starts: list[int] = []
    before = None
    for at, value in enumerate(table.columns[name]):
        if value is UNUSABLE:
            continue
        if value is None or value != value or not str(value).strip():
            if not starts:
                raise InputError(f"{table.name}: {name} is blank in the first row; give it the sentence's number")
            continue
        if not starts or value != before:
            starts.append(at)
        before = value
    _refuse_scattered(table, name, starts)
    ends = [*starts[1:], len(table)]
    return [range(*each) for each in zip(starts, ends, strict=True)]


def _refuse_scattered(table: Table, name: str, starts: Sequence[int]) -> None:
    """Raise InputError where a sentence's rows are in several places; its numbers may begin again in each document."""
    values = [table.columns[name][at] for at in starts]
    again = [at for at, value in enumerate(values) if value in values[:1] and at]
    parts = [values[start:end] for start, end in zip([0, *again], [*again, len(values)], strict=True)]
    for part in parts:
        if len(set(part)) < len(part):
            twice = next(value for value in part if part.count(value) > 1)
            raise InputError(
                f"{table.name}: the rows of the sentence {twice!r} ({name}) are in several places; put each sentence's"
                " tokens one after the other, in their order"
            )
