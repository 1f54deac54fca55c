"""What each column of a table holds: texts, labels, numbers, lists, times …; told by its values, not by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from serving.errors import InputError, shorten
from trainer.data.chat import are_conversations
from trainer.data.columns import is_missing
from trainer.data.entity_spans import are_spans
from trainer.data.literals import parse_list, parse_nested
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table
from trainer.data.times import read_times
from trainer.tasks.label_lists import flag_of

Kind = Literal[
    "empty", "constant", "messages", "spans", "list", "object", "flag", "number", "time", "category", "text", "id"
]
_SAMPLE = 2000
_NEARLY_ALL = 0.98
_FEW_WORDS, _SHORT = 5, 60


@dataclass(frozen=True)
class Column:
    """Attributes:
    values: those that are there, in the order of the rows.
    missing: how many rows have none.
    words: of a text, in the mean; a Chinese or Japanese character counts as one.
    labels: the distinct labels, with how many rows each has; of lists, of their items.
    """

    name: str
    kind: Kind
    values: Sequence[Any]
    missing: int
    distinct: int
    words: float = 0.0
    whole: bool = False
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def sample(self) -> str:
        """A few different values, for a message."""
        return ", ".join(repr(shorten(" ".join(text.split()), 30)) for text in dict.fromkeys(map(str, self.values[:3])))


def profile(table: Table) -> dict[str, Column]:
    return {name: _profile(name, values) for name, values in table.columns.items()}


def _profile(name: str, every: Sequence[Any]) -> Column:
    values = [value for value in every if value is not UNUSABLE and not is_missing(value)]
    missing = sum(value is not UNUSABLE for value in every) - len(values)
    distinct = len({str(value) for value in values})
    sample = values[:: max(1, len(values) // _SAMPLE)]
    kind = _kind_of(sample, values, distinct)
    words = sum(map(count_words, map(str, sample))) / max(len(sample), 1)
    whole = kind == "number" and all(float(value).is_integer() for value in sample)
    return Column(name, kind, values, missing, distinct, words, whole)


def count_words(text: str) -> int:
    """Characters of scripts without spaces count as words."""
    unspaced = sum("\u3040" <= sign <= "\u9fff" or "\uac00" <= sign <= "\ud7af" for sign in text)
    return len(text.split()) + unspaced // 2


def _kind_of(sample: Sequence[Any], values: Sequence[Any], distinct: int) -> Kind:
    if not sample:
        return "empty"
    nested = _kind_of_nested(sample)
    if nested:
        return nested
    if distinct == 1 and len(values) > 1:
        return "constant"
    for kind, test in _TESTS:
        if sum(map(test, sample)) >= _NEARLY_ALL * len(sample):
            return kind
    if _are_times(sample):
        return "time"
    return _kind_of_texts(sample, values, distinct)


def _kind_of_nested(sample: Sequence[Any]) -> Kind | None:
    parsed = [parse_if_nested(value) for value in sample]
    lists = [value for value in parsed if isinstance(value, (list, tuple))]
    objects = [value for value in parsed if isinstance(value, dict)]
    if len(lists) + len(objects) < _NEARLY_ALL * len(sample):
        return None
    if are_conversations(sample) and any(_is_message(value[0]) for value in lists if value):
        return "messages"
    if are_spans(lists) or (objects and all("entities" in each for each in objects)):
        return "spans"
    flags = objects and all(flag_of(value) is not None for each in objects for value in each.values())
    return "list" if flags or len(lists) > len(objects) else "object"


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and ("role" in value or "from" in value)


def parse_if_nested(value: Any) -> Any:
    """A list or an object that was written as text, as itself; labels such as ``[laughter]`` are texts."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "(", "{")):
        return value
    found = parse_list(value)
    return parse_nested(value) if found is None else found


def _is_flag(value: Any) -> bool:
    return flag_of(value) is not None


def is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        return math.isfinite(float(value)) and not (isinstance(value, str) and _is_code(value.strip()))
    except ValueError:
        return False


def _is_code(text: str) -> bool:
    """Whether zeros lead, as in 0101: no number is written so."""
    return len(text) > 1 and text[0] == "0" and text[1] not in ".eE"


_TESTS: tuple[tuple[Kind, Callable[[Any], bool]], ...] = (("flag", _is_flag), ("number", is_number))


def _are_times(sample: Sequence[Any]) -> bool:
    if any(isinstance(value, str) and value.strip().isdecimal() for value in sample):  # a code, such as 0101
        return False
    read, failed = read_times(sample, ""), 0
    for value in sample:
        try:
            read(value)
        except InputError:
            failed += 1
            if failed > (1 - _NEARLY_ALL) * len(sample):
                return False
    return True


def _kind_of_texts(sample: Sequence[Any], values: Sequence[Any], distinct: int) -> Kind:
    texts = [str(value) for value in sample]
    words = sum(map(count_words, texts)) / len(texts)
    length = sum(map(len, texts)) / len(texts)
    repeated = distinct <= max(2, len(values) / 2)
    if repeated and (distinct <= 20 or (words < _FEW_WORDS and length <= _SHORT)):
        return "category"
    if words < 1.05 and distinct >= _NEARLY_ALL * len(values) and _look_like_ids(texts):
        return "id"
    return "text"


def _look_like_ids(texts: Sequence[str]) -> bool:
    """One word with digits or signs in it, or of one length."""
    if any(not text.isascii() for text in texts):
        return False
    signs = sum(any(not sign.isalpha() for sign in text) for text in texts)
    return signs >= len(texts) / 2 or (len(texts) > 5 and len(set(map(len, texts))) == 1)
