"""Warnings about usable data. They travel into bundles, so they quote no text of a row."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer.data.rows import Rows, are_among, are_shared_units, concatenate, normalize, number_groups
from trainer.setup.splits import Splits
from trainer.tasks.labels import find_joined

FEW_ROWS = 5
STRONG_IMBALANCE = 20
MANY_TRUNCATED = 0.02


def warnings_of(splits: Splits, truncated: float, limit: str) -> list[str]:
    """``truncated`` is the share of training texts that are cut, as they are longer than ``limit``."""
    warnings = [
        *splits.notes,
        *unusable_rows_warnings(splits.unusable_rows),
        *(_shared_inputs(splits.train, rows, name) for name, rows in splits.by_name()[1:]),
        *(_shared_units(splits.train, rows, name) for name, rows in splits.by_name()[1:]),
        *(_excluded_rows(name, count) for name, count in splits.excluded.items()),
        _conflicts(splits),
        _look_alike_labels(splits.labels),
        _joined_labels(splits.labels),
        _float_labels(splits.labels),
        _small_labels(splits),
        _unmeasured_labels(splits),
        _uniform_test(splits),
        _imbalance(splits),
        _truncation(truncated, limit),
    ]
    return [warning for warning in warnings if warning]


def _shared_inputs(train: Rows, held_out: Rows, name: str) -> str:
    shared = sum(are_among(held_out.text_keys(), train.text_keys()))
    return f"{shared} of {len(held_out)} {name} texts are in the training set too" if shared else ""


def _shared_units(train: Rows, held_out: Rows, name: str) -> str:
    shared = sum(are_shared_units(held_out, train))
    return f"{shared} of {len(held_out)} {name} rows are of a data.group that training rows have too" if shared else ""


def _excluded_rows(name: str, count: int) -> str:
    rows = "validation rows" if name == "validation" else f"rows of test set {name}"
    return f"{count} {rows} are excluded: their text or article is among the training rows"


def unusable_rows_warnings(record: Sequence[Mapping[str, Any]]) -> list[str]:
    counts: dict[str, int] = defaultdict(int)
    for entry in record:
        counts[entry["file"]] += len(entry["rows"])
    told = {
        name: "1 row cannot be used and is" if count == 1 else f"{count} rows cannot be used and are"
        for name, count in counts.items()
    }
    return [f"{name}: {what} left out" for name, what in told.items()]


def _conflicts(splits: Splits) -> str:
    if not splits.counts["train"]:
        return ""
    every = [rows for _, rows in splits.by_name()]
    texts = number_groups(concatenate([rows.text_keys() for rows in every]))
    targets = number_groups(concatenate([rows.target_keys() for rows in every]))
    first_of = np.unique(texts, return_index=True)[1]  # of each text
    differing = np.flatnonzero(targets != targets[first_of[texts]])
    conflicts = np.unique(texts[differing])
    if not len(conflicts):
        return ""
    pair = first_of[conflicts[0]], differing[texts[differing] == conflicts[0]][0]
    examples = " and ".join(_place_of(every, int(place)) for place in pair)
    return f"{len(conflicts)} texts occur with different labels, such as {examples}"


def _place_of(parts: Sequence[Rows], place: int) -> str:
    """Of all parts' rows."""
    for rows in parts:
        if place < len(rows):
            break
        place -= len(rows)
    file = rows.files[place] if len(rows.files) else rows.name
    return f"row {rows.numbers[place]} of {file}"


def _look_alike_labels(labels: Sequence[str]) -> str:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[plain_label(label)].append(label)
    pairs = [" and ".join(map(_spell_out, same)) for same in alike.values() if len(same) > 1]
    return f"labels differ only in case, spacing, Unicode spelling or a .0: {'; '.join(pairs)}" if pairs else ""


def plain_label(label: str) -> str:
    """Without case, extra spaces, invisible characters, and differences that look the same; 1.0 is 1."""
    visible = "".join(each for each in label if unicodedata.category(each) != "Cf")
    return re.sub(r"^(\d+)\.0+$", r"\1", normalize(unicodedata.normalize("NFKC", visible)))


def _spell_out(label: str) -> str:
    """With escapes for characters that another spelling may hide."""
    return repr(label) if label.isascii() else f"{label!r} ({label!a})"


def _joined_labels(labels: Sequence[str]) -> str:
    if not (joined := find_joined(labels)):
        return ""
    several = f"labels such as {joined[0]!r} seem to be several with {joined[1]!r} between them"
    return f"{several}; if so, give task: multi-label-classification with data.label_separator"


def _float_labels(labels: Sequence[str]) -> str:
    if not labels or not all(re.fullmatch(r"\d+\.0", label) for label in labels):
        return ""
    return f"labels are numbers such as {labels[0]}, as pandas writes whole numbers of a column with gaps"


def _small_labels(splits: Splits) -> str:
    counts = splits.counts["train"]
    small = [f"{label} ({count})" for label, count in sorted(counts.items()) if count < FEW_ROWS]
    return f"labels with fewer than {FEW_ROWS} training rows: {_join_some(small)}" if small else ""


def _unmeasured_labels(splits: Splits) -> str:
    absent = [label for label in splits.counts["train"] if label not in splits.counts["test"]]
    return f"labels without a test row, so their quality is not measured: {_join_some(absent)}" if absent else ""


def _uniform_test(splits: Splits) -> str:
    """The proof of int8 would refuse them after the training, whatever the model."""
    answers = set(splits.test.target_keys())
    if len(answers) > 1 and splits.counts["test"].keys() != {"O"}:
        return ""
    return (
        "every test row has the same answer, so that the test metric cannot tell the model from a constant one, and"
        " int8 cannot be proven: give test rows that differ"
    )


def _imbalance(splits: Splits) -> str:
    counts = splits.counts["train"]
    if not counts or "O" in counts:  # most tokens are outside every entity
        return ""
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] < STRONG_IMBALANCE * counts[least]:
        return ""
    return (
        f"strong imbalance: {counts[most]} rows of {most}, {counts[least]} of {least};"
        " look at macro-F1, not at accuracy"
    )


def _truncation(share: float, limit: str) -> str:
    if share < MANY_TRUNCATED:
        return ""
    return f"{share:.1%} of the training texts are longer than {limit} and are cut"


def _join_some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
