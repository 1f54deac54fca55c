"""From the recipe to three sets of rows: train, validation and test."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from trainer.data.holdout import hold_out
from trainer.data.readers import read_dataset, read_file
from trainer.data.rows import Rows, joined
from trainer.data.table import Table
from trainer.recipe.sections import Data
from trainer.tasks.base import TrainingTask


@dataclass(frozen=True)
class Splits:
    """The three sets and the labels, whose order is that of the model's logits; ``counts``: rows a label, a set.

    ``tests`` are the named sets that make up ``test``, where there are several; ``left_out`` counts the rows of each
    that are not in it because their text or article is among the rows that are learned from.
    """

    train: Rows
    validation: Rows
    test: Rows
    labels: list[str]
    counts: dict[str, dict[str, int]]
    tests: dict[str, Rows] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def named(self) -> list[tuple[str, Rows]]:
        """The sets under their names."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]

    def each(self) -> list[Rows]:
        """The sets, several test sets apart."""
        return [self.train, self.validation, *(self.tests.values() or [self.test])]


def load_splits(training_task: TrainingTask) -> Splits:
    """Read, check and split the rows; raises InputError for data that cannot be learned from.

    The test set is taken off first, so that changing the validation fraction never moves a test row. Where one of
    several test sets is a fraction of the training rows, the split is ours, and no text or article of the rows that
    stay is left in the others either: the same article in another language, for example.
    """
    data = training_task.data
    tables = [_read(data, name) for name in train_files(data)]
    everything = joined([training_task.rows(table) for table in tables])
    rest, tests, left_out = _test_sets(everything, training_task)
    test = joined(list(tests.values())) if len(tests) > 1 else next(iter(tests.values()))
    train, validation = _set_aside(rest, data.validation, training_task, "validation")
    labels = training_task.label_names(train, tables[0])
    for rows in (validation, *tests.values()):
        training_task.require_known(rows, labels)
    counts = {
        name: training_task.label_counts(rows)
        for name, rows in {"train": train, "validation": validation, "test": test}.items()
    }
    return Splits(train, validation, test, labels, counts, tests if len(tests) > 1 else {}, left_out)


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


def _test_sets(everything: Rows, training_task: TrainingTask) -> tuple[Rows, dict[str, Rows], dict[str, int]]:
    """The rows that stay, the test sets by name, and how many rows of each are left out."""
    rest = everything
    tests: dict[str, Rows] = {}
    for name, choice in training_task.data.test_sets():
        rest, tests[name] = _set_aside(rest, choice, training_task, "test")
    left_out: dict[str, int] = {}
    if len(rest) < len(everything):
        for name, rows in tests.items():
            tests[name], left_out[name] = _without_known(rows, set(rest.groups), name)
    return rest, tests, {name: count for name, count in left_out.items() if count}


def _without_known(rows: Rows, known: set[str], name: str) -> tuple[Rows, int]:
    unknown = [at for at, group in enumerate(rows.groups) if group not in known]
    if not unknown:
        raise InputError(
            f"data.test: {name}: every text or article of {rows.name} is among the rows that are learned from;"
            " give rows of its own",
            field="data.test",
        )
    return rows.take(unknown), len(rows) - len(unknown)


def _set_aside(rows: Rows, choice: float | str, training_task: TrainingTask, name: str) -> tuple[Rows, Rows]:
    """``rows`` without the held-out set ``name``, and that set: a fraction of them, or a file of its own."""
    if isinstance(choice, str):
        return rows, training_task.rows(_read(training_task.data, choice))
    return hold_out(rows, training_task.strata(rows), choice, training_task.data.split_seed, name)


def train_files(data: Data) -> list[str]:
    """The files of training rows, or the one split of a data set."""
    return list(data.train) if isinstance(data.train, tuple) else [data.train or "train"]


def _files(data: Data) -> dict[str, str]:
    first, *more = train_files(data)
    others = {f"train_{number}": path for number, path in enumerate(more, 2)}
    tests = {name if name == "test" else f"test_{name}": choice for name, choice in data.test_sets()}
    roles = {"train": first, **others, "validation": data.validation, **tests}
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
