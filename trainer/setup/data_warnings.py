"""Warnings about usable data."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from trainer.data.rows import Rows, normalize, same_text
from trainer.setup.splits import Splits

FEW_ROWS = 5
STRONG_IMBALANCE = 20
MANY_TRUNCATED = 0.02


def warnings_of(splits: Splits, truncated: float, max_length: int) -> list[str]:
    """``truncated`` is the share of training texts that are cut."""
    warnings = [
        *(_shared_inputs(splits.train, rows, name) for name, rows in splits.by_name()[1:]),
        *(_excluded_rows(name, count) for name, count in splits.excluded.items()),
        _conflicts(splits),
        _look_alike_labels(splits.labels),
        _small_labels(splits),
        _unmeasured_labels(splits),
        _imbalance(splits),
        _truncation(truncated, max_length),
    ]
    return [warning for warning in warnings if warning]


def _shared_inputs(train: Rows, held_out: Rows, name: str) -> str:
    known = {same_text(inputs) for inputs in train.inputs}
    shared = sum(same_text(inputs) in known for inputs in held_out.inputs)
    return f"{shared} of {len(held_out)} {name} texts are in the training set too" if shared else ""


def _excluded_rows(name: str, count: int) -> str:
    return f"{count} rows of test set {name} are excluded: their text or article is among the training rows"


def _conflicts(splits: Splits) -> str:
    if not splits.counts["train"]:
        return ""
    targets_of: dict[str, set[str]] = defaultdict(set)
    for _, rows in splits.by_name():
        for inputs, target in rows.pairs():
            targets_of[same_text(inputs)].add(_format_target(target))
    conflicts = [(text, targets) for text, targets in targets_of.items() if len(targets) > 1]
    if not conflicts:
        return ""
    text, targets = conflicts[0]
    warning = f"{len(conflicts)} texts occur with different labels, such as {text[:60]!r}"
    return warning if "{" in "".join(targets) else f"{warning}: {', '.join(sorted(targets))}"


def _look_alike_labels(labels: Sequence[str]) -> str:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[normalize(label)].append(label)
    pairs = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    return f"labels differ only in case or spacing: {'; '.join(pairs)}" if pairs else ""


def _small_labels(splits: Splits) -> str:
    counts = splits.counts["train"]
    small = [f"{label} ({count})" for label, count in sorted(counts.items()) if count < FEW_ROWS]
    return f"labels with fewer than {FEW_ROWS} training rows: {_join_some(small)}" if small else ""


def _unmeasured_labels(splits: Splits) -> str:
    absent = [label for label in splits.counts["train"] if label not in splits.counts["test"]]
    return f"labels without a test row, so their quality is not measured: {_join_some(absent)}" if absent else ""


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


def _truncation(share: float, max_length: int) -> str:
    if share < MANY_TRUNCATED:
        return ""
    return f"{share:.1%} of the training texts are longer than data.max_length ({max_length} tokens) and are cut"


def _join_some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _format_target(target: object) -> str:
    if isinstance(target, list) and all(isinstance(each, str) for each in target):
        return " & ".join(target) or "none"
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)
