"""The training, validation and test rows of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from trainer.data.holdout import hold_out
from trainer.data.readers import read_dataset, read_file
from trainer.data.rows import Rows, hash_rows, join_rows
from trainer.data.table import Table
from trainer.recipe.sections import Data
from trainer.tasks.row_reader import RowReader


@dataclass(frozen=True)
class Splits:
    """The splits of a run.

    Attributes:
        labels: in the order of the logits.
        counts: rows per label of each split.
        tests: the sets that make up ``test``, where there are several.
        excluded: rows that each test set lost to the training rows.
    """

    train: Rows
    validation: Rows
    test: Rows
    labels: list[str]
    counts: dict[str, dict[str, int]]
    tests: dict[str, Rows] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)

    def by_name(self) -> list[tuple[str, Rows]]:
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]

    def test_sets_apart(self) -> list[Rows]:
        """With named test sets in place of ``test``."""
        return [self.train, self.validation, *(self.tests.values() or [self.test])]


def load_splits(reader: RowReader) -> Splits:
    """Read, check and split the rows; raises InputError.

    The test set is held out first, so that the validation fraction never moves a test row. Where one of several test
    sets is a fraction of the training rows, the others lose rows whose text or article stays in training.
    """
    data = reader.data
    tables = [_read(data, name) for name in train_files(data)]
    everything = join_rows([reader.rows(table) for table in tables])
    rest, tests, excluded = _test_sets(everything, reader)
    test = join_rows(list(tests.values())) if len(tests) > 1 else next(iter(tests.values()))
    train, validation = _hold_out(rest, data.validation, reader, "validation")
    labels = reader.label_names(train, tables[0])
    for rows in (validation, *tests.values()):
        reader.require_known(rows, labels)
    splits = {"train": train, "validation": validation, "test": test}
    counts = {name: reader.label_counts(rows) for name, rows in splits.items()}
    return Splits(train, validation, test, labels, counts, tests if len(tests) > 1 else {}, excluded)


def fingerprint(data: Data, splits: Splits) -> dict[str, Any]:
    """The sha256 of each data file and of each split's ordered rows, with rows per label."""
    files = {} if data.dataset else {role: Path(path) for role, path in _files(data).items()}
    return {
        "files": {role: {"name": path.name, "sha256": sha256_of(path)} for role, path in files.items()},
        "splits": {name: _summary(rows, splits.counts[name], splits.labels) for name, rows in splits.by_name()},
    }


def _read(data: Data, name: str) -> Table:
    if data.dataset:
        return read_dataset(data.dataset, data.config_name, name, data.revision)
    return read_file(Path(name), data.column_names)


def _test_sets(everything: Rows, reader: RowReader) -> tuple[Rows, dict[str, Rows], dict[str, int]]:
    rest = everything
    tests: dict[str, Rows] = {}
    for name, choice in reader.data.test_sets():
        rest, tests[name] = _hold_out(rest, choice, reader, "test")
    excluded: dict[str, int] = {}
    if len(rest) < len(everything):
        for name, rows in tests.items():
            tests[name], excluded[name] = _exclude_groups(rows, set(rest.groups), name)
    return rest, tests, {name: count for name, count in excluded.items() if count}


def _exclude_groups(rows: Rows, groups: set[str], name: str) -> tuple[Rows, int]:
    unknown = [at for at, group in enumerate(rows.groups) if group not in groups]
    if not unknown:
        raise InputError(
            f"data.test: {name}: every text or article of {rows.name} is among the training rows; give other rows",
            field="data.test",
        )
    return rows.take(unknown), len(rows) - len(unknown)


def _hold_out(rows: Rows, choice: float | str, reader: RowReader, name: str) -> tuple[Rows, Rows]:
    if isinstance(choice, str):
        return rows, reader.rows(_read(reader.data, choice))
    return hold_out(rows, reader.strata(rows), choice, reader.data.split_seed, name)


def train_files(data: Data) -> list[str]:
    return list(data.train) if isinstance(data.train, tuple) else [data.train or "train"]


def _files(data: Data) -> dict[str, str]:
    first, *more = train_files(data)
    others = {f"train_{number}": path for number, path in enumerate(more, 2)}
    tests = {name if name == "test" else f"test_{name}": choice for name, choice in data.test_sets()}
    roles = {"train": first, **others, "validation": data.validation, **tests}
    return {role: path for role, path in roles.items() if isinstance(path, str)}


def _summary(rows: Rows, counts: dict[str, int], labels: list[str]) -> dict[str, Any]:
    return {
        "source": rows.name,
        "rows": len(rows),
        "sha256": hash_rows(rows),
        "labels": {label: counts.get(label, 0) for label in labels} if counts else {},
    }
