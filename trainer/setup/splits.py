"""The training, validation and test rows of a recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from stores.data import local_file
from trainer.data.columns import require_columns
from trainer.data.holdout import hold_out
from trainer.data.rows import Rows, are_among, are_shared_units, hash_rows, join_rows
from trainer.data.streamed.row_store import RowStore
from trainer.data.table import with_nested
from trainer.recipe.sections import Data
from trainer.setup.sources import InputCheck, Sources
from trainer.tasks.row_reader import RowReader


@dataclass(frozen=True)
class Splits:
    """The splits of a run.

    Attributes:
        labels: in the order of the logits.
        counts: rows per label of each split.
        tests: the sets that make up ``test``, where there are several.
        excluded: rows that each test set lost to the training rows.
        unusable_rows: file, problem and row numbers of the rows that are left out.
        notes: what was recognised in the files.
    """

    train: Rows
    validation: Rows
    test: Rows
    labels: list[str]
    counts: dict[str, dict[str, int]]
    tests: dict[str, Rows] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    unusable_rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def by_name(self) -> list[tuple[str, Rows]]:
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]

    def test_sets_apart(self) -> list[Rows]:
        """With named test sets in place of ``test``."""
        return [self.train, self.validation, *(self.tests.values() or [self.test])]


def load_splits(
    reader: RowReader, check_of: Callable[[Rows], InputCheck] | None = None, folder: Path | None = None
) -> Splits:
    """Read, check and split the rows; raises InputError, with the problems of all rows of all files.

    Streamed rows are kept in the nearest folder above ``folder`` that is there, while the process lives.

    ``check_of`` the usable training rows gives a check of inputs. The test set is held out first, so that the
    validation fraction never moves a test row. Where one of several test sets is a fraction of the training rows, the
    others lose rows whose text or article stays in training.
    """
    sources = Sources(reader, RowStore(_existing(folder)) if reader.data.streaming else None)
    sources.read(list(dict.fromkeys([*train_files(reader.data), *held_out_files(reader.data)])))
    try:
        splits = _split(sources, check_of)
    except InputError as error:
        if not sources.skips:
            sources.refuse()  # what follows from unusable rows is not worth telling
        raise InputError(f"{error}{_left_out(sources)}", field=error.field) from error
    if not sources.skips:
        sources.refuse()
    absent = reader.without_rows(splits.labels)
    notes = [f"labels without a training row, which are not learned: {', '.join(absent)}"] if absent else []
    return replace(splits, unusable_rows=sources.to_record(), notes=[*sources.notes(), *notes])


def _existing(folder: Path | None) -> Path:
    return next((each for each in folder.absolute().parents if each.is_dir()), Path.cwd()) if folder else Path.cwd()


def _split(sources: Sources, check_of: Callable[[Rows], InputCheck] | None) -> Splits:
    reader, files = sources.reader, train_files(sources.reader.data)
    sources.require_rows()
    if check_of:
        sources.check(check_of(_join(sources, files)))
        sources.require_rows()
    everything = _join(sources, files)
    _require_split_columns(everything, sources)
    rest, tests, excluded = _test_sets(everything, sources)
    train, validation, lost = _hold_out(rest, reader.data.validation, sources, "validation")
    excluded |= {"validation": lost} if lost else {}
    if reader.recipe.imported:  # the import has met them with the rows'
        labels = list(reader.recipe.imported.labels)
    else:
        labels = reader.label_names(train, sources.tables[files[0]])
        validation = sources.known_rows(validation, labels)
        tests = {name: sources.known_rows(rows, labels) for name, rows in tests.items()}
    train, validation = map(reader.complete, (train, validation))
    tests = {name: reader.complete(rows) for name, rows in tests.items()}
    test = join_rows(list(tests.values())) if len(tests) > 1 else next(iter(tests.values()))
    splits = {"train": train, "validation": validation, "test": test}
    if empty := [rows.name for rows in splits.values() if not len(rows)]:
        raise InputError(f"{empty[0]}: no row can be used")
    counts = {name: reader.label_counts(rows) if rows.labelled else {} for name, rows in splits.items()}
    return Splits(train, validation, test, labels, counts, tests if len(tests) > 1 else {}, excluded)


def _join(sources: Sources, names: Sequence[str]) -> Rows:
    return join_rows([sources.rows[name] for name in names])


def _left_out(sources: Sources) -> str:
    count = sum(map(len, sources.problems.values()))
    if not count:
        return ""
    rows = "1 row is" if count == 1 else f"{count} rows are"
    return f" ({rows} left out as unusable)\n{sources.describe()}"


def fingerprint(data: Data, splits: Splits) -> dict[str, Any]:
    """The sha256 of each data file and of each split's ordered rows, with rows per label."""
    files = {} if data.dataset else {role: local_file(path) for role, path in _files(data).items()}
    return {
        "files": {role: {"name": path.name, "sha256": sha256_of(path)} for role, path in files.items()},
        "splits": {name: _summary(rows, splits.counts[name], splits.labels) for name, rows in splits.by_name()},
        **({"unusable_rows": splits.unusable_rows} if splits.unusable_rows else {}),
    }


def _test_sets(everything: Rows, sources: Sources) -> tuple[Rows, dict[str, Rows], dict[str, int]]:
    """The rows that are left, the test sets, and how many rows each of these lost."""
    rest, choices = everything, sources.reader.data.test_sets()
    tests: dict[str, Rows] = {}
    excluded: dict[str, int] = {}
    for name, choice in choices:
        rest, tests[name], excluded[name] = _hold_out(rest, choice, sources, "test")
    if not all(isinstance(choice, str) for _, choice in choices):
        for name, rows in tests.items():
            tests[name], lost = _exclude_groups(rows, rest, name)
            excluded[name] += lost
    return rest, tests, {name: count for name, count in excluded.items() if count}


def _require_split_columns(rows: Rows, sources: Sources) -> None:
    """Raise InputError where a training file lacks the column of groups, times or sets."""
    data = sources.reader.data
    for key, found in (("group", rows.units), ("time", rows.times), ("split", rows.parts)):
        if (name := getattr(data, key)) and len(found) < len(rows):
            tables = (with_nested(sources.tables[file], [name]) for file in train_files(data))
            for table in tables:
                require_columns(table, f"data.{key}", [name])
            raise InputError(
                f"{rows.name}: {name!r} (data.{key}) is of other rows than those that are trained on, as where a token"
                " stands in each row; give a file with a text a row",
                field=f"data.{key}",
            )


def _exclude_groups(rows: Rows, train: Rows, name: str) -> tuple[Rows, int]:
    known = [*are_among(rows.groups, train.groups)]
    if len(rows.units) and len(train.units):
        known = [one or other for one, other in zip(known, are_shared_units(rows, train), strict=True)]
    unknown = [at for at, each in enumerate(known) if not each]
    if not unknown:
        raise InputError(
            f"data.test: {name}: every text or article of {rows.name} is among the training rows; give other rows",
            field="data.test",
        )
    return rows.take(unknown), len(rows) - len(unknown)


def _hold_out(rows: Rows, choice: float | str, sources: Sources, name: str) -> tuple[Rows, Rows, int]:
    """The rows that stay, those that are held out, and how many are neither, as their texts are known."""
    reader = sources.reader
    if isinstance(choice, str):
        return (*_take_part(rows, choice, name), 0) if reader.data.split else (rows, sources.rows[choice], 0)
    strata = reader.strata(rows) if rows.labelled else [""] * len(rows)
    rest, held = hold_out(rows, strata, choice, reader.data.split_seed, name)
    return rest, held, len(rows) - len(rest) - len(held)


def _take_part(rows: Rows, part: str, name: str) -> tuple[Rows, Rows]:
    """Raises InputError where no row, or each, is of it."""
    held = [at for at, each in enumerate(rows.parts) if each == part]
    if not held or len(held) == len(rows):
        there = ", ".join(f"{each} ({count})" for each, count in Counter(rows.parts).most_common(20))
        raise InputError(
            f"data.{name}: {'no' if not held else 'every'} row is of {part!r} (data.split); there are: {there}",
            field=f"data.{name}",
        )
    return rows.take([at for at, each in enumerate(rows.parts) if each != part]), rows.take(held)


def train_files(data: Data) -> list[str]:
    return list(data.train) if isinstance(data.train, tuple) else [data.train or "train"]


def held_out_files(data: Data) -> list[str]:
    choices = [] if data.split else [*(choice for _, choice in data.test_sets()), data.validation]
    return [choice for choice in choices if isinstance(choice, str)]


def _files(data: Data) -> dict[str, str]:
    first, *more = train_files(data)
    others = {f"train_{number}": path for number, path in enumerate(more, 2)}
    tests = {name if name == "test" else f"test_{name}": choice for name, choice in data.test_sets()}
    roles = {"train": first, **others, **({} if data.split else {"validation": data.validation, **tests})}
    return {role: path for role, path in roles.items() if isinstance(path, str)}


def _summary(rows: Rows, counts: dict[str, int], labels: list[str]) -> dict[str, Any]:
    return {
        "source": rows.name,
        "rows": len(rows),
        "sha256": hash_rows(rows),
        "labels": {label: counts.get(label, 0) for label in labels} if counts else {},
    }
