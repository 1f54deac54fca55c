"""What to know about usable data: each finding is a warning, shown before training and kept in the report."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.data.rows import Rows, plain, same_text

if TYPE_CHECKING:
    from trainer.setup.splits import Splits

FEW_ROWS = 5
STRONG_IMBALANCE = 20
MANY_TRUNCATED = 0.02


def warnings_of(splits: Splits, truncated: float, max_length: int) -> list[str]:
    """What to know about usable data; ``truncated`` is the share of training texts that are cut."""
    found = [
        *(_shared_inputs(splits.train, rows, name) for name, rows in splits.named()[1:]),
        *(_left_out(name, count) for name, count in splits.left_out.items()),
        _conflicts(splits),
        _look_alike_labels(splits.labels),
        _small_labels(splits),
        _unmeasured_labels(splits),
        _imbalance(splits),
        _truncation(truncated, max_length),
    ]
    return [warning for warning in found if warning]


def _shared_inputs(train: Rows, held_out: Rows, name: str) -> str:
    known = {same_text(inputs) for inputs in train.inputs}
    shared = sum(same_text(inputs) in known for inputs in held_out.inputs)
    return f"{shared} of {len(held_out)} {name} texts are in the training set too" if shared else ""


def _left_out(name: str, count: int) -> str:
    return (
        f"{count} rows of test set {name} are left out: their text or article is among the rows that are learned from"
    )


def _conflicts(splits: Splits) -> str:
    if not splits.counts["train"]:
        return ""
    targets_of: dict[str, set[str]] = defaultdict(set)
    for _, rows in splits.named():
        for inputs, target in rows.pairs():
            targets_of[same_text(inputs)].add(_shown(target))
    conflicts = [(text, targets) for text, targets in targets_of.items() if len(targets) > 1]
    if not conflicts:
        return ""
    text, targets = conflicts[0]
    many = f"{len(conflicts)} texts are there with different labels, such as {text[:60]!r}"
    return many if "{" in "".join(targets) else f"{many}: {', '.join(sorted(targets))}"


def _look_alike_labels(labels: Sequence[str]) -> str:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[plain(label)].append(label)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    return f"labels differ only in case or spacing: {'; '.join(pairs)}" if pairs else ""


def _small_labels(splits: Splits) -> str:
    counts = splits.counts["train"]
    small = [f"{label} ({count})" for label, count in sorted(counts.items()) if count < FEW_ROWS]
    return f"labels with fewer than {FEW_ROWS} training rows: {_short(small)}" if small else ""


def _unmeasured_labels(splits: Splits) -> str:
    absent = [label for label in splits.counts["train"] if label not in splits.counts["test"]]
    return f"labels without a test row, so their quality is not measured: {_short(absent)}" if absent else ""


def _imbalance(splits: Splits) -> str:
    counts = splits.counts["train"]
    if not counts or "O" in counts:  # most tokens are outside of every entity, and that is no surprise
        return ""
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] < STRONG_IMBALANCE * counts[least]:
        return ""
    return (
        f"strong imbalance: {counts[most]} rows of {most}, {counts[least]} of {least};"
        " look at macro-F1, not at accuracy"
    )


def _truncation(share: float, max_length: int) -> str:
    if share < MANY_TRUNCATED:
        return ""
    return f"{share:.1%} of the training texts are longer than data.max_length ({max_length} tokens) and are cut"


def _short(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _shown(target: object) -> str:
    if isinstance(target, list) and all(isinstance(each, str) for each in target):
        return " & ".join(target) or "none"
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)
