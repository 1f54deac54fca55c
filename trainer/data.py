"""From the recipe to three sets of rows: train, validation and test."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.bundle import sha256_of
from trainer.formats import read_dataset, read_file
from trainer.recipe_sections import Data
from trainer.rows import Rows, joined
from trainer.split import hold_out
from trainer.table import Table
from trainer.tasks.base import Learning


@dataclass(frozen=True)
class Splits:
    """The three sets and the labels, whose order is that of the model's logits; ``counts``: rows a label, a set."""

    train: Rows
    validation: Rows
    test: Rows
    labels: list[str]
    counts: dict[str, dict[str, int]]

    def named(self) -> list[tuple[str, Rows]]:
        """The sets under their names."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]


def load_splits(learning: Learning) -> Splits:
    """Read, check and split the rows; raises InputError for data that cannot be learned from.

    The test set is taken off first, so that changing the validation fraction never moves a test row.
    """
    data = learning.data
    tables = [_read(data, name) for name in train_files(data)]
    everything = joined([learning.rows(table) for table in tables])
    rest, test = _set_aside(everything, data.test, learning, "test")
    train, validation = _set_aside(rest, data.validation, learning, "validation")
    labels = learning.label_names(train, tables[0])
    learning.require_known(validation, labels)
    learning.require_known(test, labels)
    sets = {"train": train, "validation": validation, "test": test}
    return Splits(**sets, labels=labels, counts={name: learning.label_counts(rows) for name, rows in sets.items()})


def fingerprint(data: Data, splits: Splits) -> dict[str, Any]:
    """sha256 of each data file and of each set's inputs and targets in order, with counts a label."""
    return {
        "files": {} if data.dataset else {role: _file_facts(Path(path)) for role, path in _files(data).items()},
        "splits": {name: _summary(rows, splits.counts[name], splits.labels) for name, rows in splits.named()},
    }


def _read(data: Data, name: str) -> Table:
    if data.dataset:
        return read_dataset(data.dataset, data.config_name, name, data.revision)
    return read_file(Path(name), data.column_names)


def _set_aside(rows: Rows, choice: float | str, learning: Learning, name: str) -> tuple[Rows, Rows]:
    """``rows`` without the held-out set ``name``, and that set: a fraction of them, or a file of its own."""
    if isinstance(choice, str):
        return rows, learning.rows(_read(learning.data, choice))
    return hold_out(rows, learning.strata(rows), choice, learning.data.split_seed, name)


def train_files(data: Data) -> list[str]:
    """The files of training rows, or the one split of a data set."""
    return list(data.train) if isinstance(data.train, tuple) else [data.train or "train"]


def _files(data: Data) -> dict[str, str]:
    first, *more = train_files(data)
    others = {f"train_{number}": path for number, path in enumerate(more, 2)}
    roles = {"train": first, **others, "validation": data.validation, "test": data.test}
    return {role: path for role, path in roles.items() if isinstance(path, str)}


def _file_facts(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": sha256_of(path)}


def _summary(rows: Rows, counts: dict[str, int], labels: list[str]) -> dict[str, Any]:
    lines = (json.dumps([inputs, target], ensure_ascii=False) for inputs, target in rows.pairs())
    digest = hashlib.sha256("\n".join(lines).encode("utf-8"))
    return {
        "source": rows.name,
        "rows": len(rows),
        "sha256": digest.hexdigest(),
        "labels": {label: counts.get(label, 0) for label in labels} if counts else {},
    }
