"""The data gate: what cannot be learned from is refused, what looks wrong is pointed out.

Rows are counted from 1 without the header, and messages say so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from serving.errors import InputError
from trainer.formats import Table
from trainer.recipe import Data
from trainer.rows import Rows, plain

if TYPE_CHECKING:
    from trainer.data import Splits

MAX_TEXT_CHARACTERS = 1_000_000
FEW_ROWS = 5
STRONG_IMBALANCE = 20
MANY_TRUNCATED = 0.02
_SHOWN = 5


def rows_of(table: Table, data: Data) -> Rows:
    """The text and label columns as rows; raises InputError naming the rows that are not usable."""
    _require_columns(table, data)
    if not len(table):
        raise InputError(f"{table.name}: has no rows; give at least one row for each label")
    texts = _checked(table, data.text, _text_problem)
    labels = [_label_name(value) for value in _checked(table, data.label, _label_problem)]
    return Rows(table.name, texts, labels, list(range(1, len(table) + 1)))


def require_two_labels(train: Rows) -> None:
    """A classifier tells labels apart, so there must be two."""
    found = sorted(train.counts())
    if len(found) < 2:
        raise InputError(f"{train.name}: every training row has the label {found[0]!r}; give at least two labels")


def require_known_labels(rows: Rows, labels: Sequence[str]) -> None:
    """Every label of a held-out set must be in the training set."""
    known = set(labels)
    unknown = [
        f"row {number}: label {label!r} is not among the training labels"
        for number, label in zip(rows.numbers, rows.labels, strict=True)
        if label not in known
    ]
    if unknown:
        shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise InputError(_listed(rows.name, unknown) + f"\n  known labels: {shown}; add training rows or correct it")


def _require_columns(table: Table, data: Data) -> None:
    for key, name in (("text", data.text), ("label", data.label)):
        if name not in table.columns:
            there = ", ".join(table.columns) or "none"
            raise InputError(
                f"{table.name}: no column {name!r} (data.{key}); columns there: {there}{_separator_hint(table)}",
                field=f"data.{key}",
            )


def _separator_hint(table: Table) -> str:
    only = next(iter(table.columns), "")
    if len(table.columns) == 1 and any(mark in only for mark in ";\t|,"):
        return "; columns are separated by commas in .csv and by tabs in .tsv"
    return ""


def _checked(table: Table, column: str, problem_of: Callable[[Any], str | None]) -> list[Any]:
    values = table.columns[column]
    found = ((number, problem_of(value)) for number, value in enumerate(values, 1))
    problems = [f"row {number}: {column} {problem}" for number, problem in found if problem]
    if problems:
        raise InputError(_listed(table.name, problems))
    return values


def _text_problem(value: Any) -> str | None:
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"is not text but {type(value).__name__}"
    if len(value) > MAX_TEXT_CHARACTERS:
        return f"has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} are accepted"
    if not value.strip():
        return "is empty"
    return None if _is_unicode(value) else "holds half of a surrogate pair, which is no character"


def _label_problem(value: Any) -> str | None:
    if value is None or value == "":
        return "is missing"
    if not isinstance(value, (str, int)):
        return f"is {type(value).__name__}; a label is text, a whole number, or true or false"
    return None if not isinstance(value, str) or _is_unicode(value) else "is no valid Unicode"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _label_name(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(name: str, problems: list[str]) -> str:
    """``name`` and the first few problems, one a line when there are several."""
    where = f"{name} (rows counted from 1, without a header)"
    if len(problems) == 1:
        return f"{where}, {problems[0]}"
    more = [f"… and {len(problems) - _SHOWN} more rows"] if len(problems) > _SHOWN else []
    return f"{where}: {len(problems)} rows cannot be used\n  " + "\n  ".join(problems[:_SHOWN] + more)


def warnings_of(splits: Splits, truncated: float, max_length: int) -> list[str]:
    """What to know about usable data; ``truncated`` is the share of training texts that are cut."""
    found = [
        *(_shared_texts(splits.train, rows, name) for name, rows in splits.named()[1:]),
        _conflicts(splits),
        _look_alike_labels(splits.labels),
        _small_labels(splits.train),
        _unmeasured_labels(splits),
        _imbalance(splits.train),
        _truncation(truncated, max_length),
    ]
    return [warning for warning in found if warning]


def _shared_texts(train: Rows, held_out: Rows, name: str) -> str:
    known = {plain(text) for text in train.texts}
    shared = sum(plain(text) in known for text in held_out.texts)
    return f"{shared} of {len(held_out)} {name} texts are in the training set too" if shared else ""


def _conflicts(splits: Splits) -> str:
    labels_of: dict[str, set[str]] = defaultdict(set)
    for _, rows in splits.named():
        for text, label in zip(rows.texts, rows.labels, strict=True):
            labels_of[plain(text)].add(label)
    conflicts = [(text, labels) for text, labels in labels_of.items() if len(labels) > 1]
    if not conflicts:
        return ""
    text, labels = conflicts[0]
    return f"{len(conflicts)} texts have more than one label, such as {text[:60]!r}: {', '.join(sorted(labels))}"


def _look_alike_labels(labels: Sequence[str]) -> str:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[plain(label)].append(label)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    return f"labels differ only in case or spacing: {'; '.join(pairs)}" if pairs else ""


def _small_labels(train: Rows) -> str:
    small = [f"{label} ({count})" for label, count in sorted(train.counts().items()) if count < FEW_ROWS]
    return f"labels with fewer than {FEW_ROWS} training rows: {_short(small)}" if small else ""


def _unmeasured_labels(splits: Splits) -> str:
    absent = [label for label in splits.labels if label not in splits.test.counts()]
    return f"labels without a test row, so their quality is not measured: {_short(absent)}" if absent else ""


def _imbalance(train: Rows) -> str:
    (most, many), *_, (least, few) = train.counts().most_common()
    if many < STRONG_IMBALANCE * few:
        return ""
    return f"strong imbalance: {many} rows of {most}, {few} of {least}; look at macro-F1, not at accuracy"


def _truncation(share: float, max_length: int) -> str:
    if share < MANY_TRUNCATED:
        return ""
    return f"{share:.1%} of the training texts are longer than data.max_length ({max_length} tokens) and are cut"


def _short(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
