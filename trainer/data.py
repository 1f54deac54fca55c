"""From the recipe to three sets of labelled texts: train, validation and test."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.bundle import sha256_of
from trainer import checks
from trainer.formats import Table, read_dataset, read_file
from trainer.recipe import Data
from trainer.rows import Rows, plain
from trainer.split import hold_out


@dataclass(frozen=True)
class Splits:
    """The three sets and the labels, whose order is that of the model's logits."""

    train: Rows
    validation: Rows
    test: Rows
    labels: list[str]

    def named(self) -> list[tuple[str, Rows]]:
        """The sets under their names."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]


def load_splits(data: Data) -> Splits:
    """Read, check and split the rows; raises InputError for data that cannot be learned from.

    The test set is taken off first, so that changing the validation fraction never moves a test row.
    """
    table = _read(data, data.train or "train")
    everything = checks.rows_of(table, data)
    rest, test = _set_aside(everything, data.test, data, "test")
    train, validation = _set_aside(rest, data.validation, data, "validation")
    labels = _label_order(train, table.label_names.get(data.label))
    checks.require_two_labels(train)
    checks.require_known_labels(validation, labels)
    checks.require_known_labels(test, labels)
    return Splits(train, validation, test, labels)


def fingerprint(data: Data, splits: Splits) -> dict[str, Any]:
    """sha256 of each data file and of each set's texts and labels in order, with counts a label."""
    return {
        "files": {} if data.dataset else {role: _file_facts(Path(path)) for role, path in _files(data).items()},
        "splits": {name: _summary(rows, splits.labels) for name, rows in splits.named()},
    }


def _read(data: Data, name: str) -> Table:
    if data.dataset:
        return read_dataset(data.dataset, data.config_name, name, data.revision)
    return read_file(Path(name), data.column_names)


def _set_aside(rows: Rows, choice: float | str, data: Data, name: str) -> tuple[Rows, Rows]:
    """``rows`` without the held-out set ``name``, and that set: a fraction of them, or a file of its own."""
    if isinstance(choice, str):
        return rows, checks.rows_of(_read(data, choice), data)
    return hold_out(rows, choice, data.split_seed, name)


def _label_order(train: Rows, class_names: list[str] | None) -> list[str]:
    seen = set(train.labels)
    return [name for name in class_names if name in seen] if class_names else sorted(seen, key=_natural)


def _natural(label: str) -> list[tuple[int, int, str]]:
    """Sorts label_2 before label_10."""
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, plain(part)) for part in parts] + [(2, 0, label)]


def _files(data: Data) -> dict[str, str]:
    roles = {"train": data.train, "validation": data.validation, "test": data.test}
    return {role: path for role, path in roles.items() if isinstance(path, str)}


def _file_facts(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": sha256_of(path)}


def _summary(rows: Rows, labels: list[str]) -> dict[str, Any]:
    lines = (json.dumps([text, label], ensure_ascii=False) for text, label in zip(*rows.columns(), strict=True))
    digest = hashlib.sha256("\n".join(lines).encode("utf-8"))
    counts = rows.counts()
    return {
        "source": rows.name,
        "rows": len(rows),
        "sha256": digest.hexdigest(),
        "labels": {label: counts[label] for label in labels},
    }
