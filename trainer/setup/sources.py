"""A recipe's files and splits as rows, each read once, with what is wrong with any of their rows."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serving.errors import InputError
from stores.data import local_file
from trainer.data.data_sets import read_dataset
from trainer.data.problems import REMEDY, RowProblems, describe
from trainer.data.readers import OPTION_FILES, options_for, read_file
from trainer.data.rows import Rows
from trainer.data.streamed.blocks import dataset_blocks, file_blocks
from trainer.data.streamed.row_store import RowStore
from trainer.data.table import ReadOptions, Table
from trainer.recipe.sections import Data
from trainer.setup.streamed_source import stream_rows
from trainer.tasks.row_reader import RowReader

InputCheck = Callable[[Any], None]
"""Raises InputError for a row's inputs that the task, its tokenizer or its model refuses."""


@dataclass
class Sources:
    """What was read.

    Attributes:
        store: where the rows are streamed from, if so.
        problems: of each file, by its name in messages.
    """

    reader: RowReader
    store: RowStore | None = None
    rows: dict[str, Rows] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    problems: dict[str, RowProblems] = field(default_factory=dict)

    @property
    def skips(self) -> bool:
        return self.reader.data.unusable_rows == "skip"

    def read(self, names: Sequence[str]) -> None:
        """Raises InputError with everything that is wrong, if a file cannot be read as a table."""
        errors = []
        for name in names:
            try:
                self._read(name)
            except InputError as error:
                errors.append(error)
        if errors:
            problems = [] if self.skips or not self.describe() else [self.describe(), REMEDY]
            told = dict.fromkeys([*map(str, errors), *problems])
            raise InputError("\n".join(told), field=errors[0].field) from errors[0]
        if self.reader.data.dataset is None:
            _require_used(read_options(self.reader.data), names)

    def _read(self, name: str) -> None:
        if self.store is not None:
            table, rows = stream_rows(self.reader, _blocks(self.reader.data, name), self.store, self._rename(name))
        else:
            table = _read_table(self.reader.data, name)
            table = replace(table, name=self._rename(name)(table.name))
            rows = self.reader.rows(table)
        self.tables[name], self.problems[table.name], self.rows[name] = table, table.problems, rows

    def _rename(self, name: str) -> Callable[[str], str]:
        """With its folder where two files have one name."""
        folder = name if self.reader.data.dataset else Path(name).parent.name
        return lambda file: f"{folder}/{file}" if file in self.problems else file

    def check(self, check: InputCheck) -> None:
        """Take out the rows whose inputs are refused."""
        for name, rows in self.rows.items():
            usable = usable_inputs(check, rows.inputs, rows.numbers, self.problems[rows.name])
            self.rows[name] = rows if len(usable) == len(rows) else rows.take(usable)

    def require_rows(self) -> None:
        """Raise InputError for a file of which none is left."""
        if empty := [rows.name for rows in self.rows.values() if not len(rows)]:
            raise InputError(f"{', '.join(empty)}: no row can be used")

    def known_rows(self, rows: Rows, labels: Sequence[str]) -> Rows:
        """Without those of labels that no training row has."""
        return self.reader.known_rows(rows, labels, self.problems.setdefault(rows.name, RowProblems()))

    def refuse(self) -> None:
        """Raise InputError with the problems of all files, if any."""
        if problems := self.describe():
            raise InputError(f"{problems}\n{REMEDY}")

    def describe(self) -> str:
        """The problems of all files."""
        return describe(self.problems)

    def to_record(self) -> list[dict[str, Any]]:
        """The rows that are left out."""
        return [entry for name, problems in self.problems.items() for entry in problems.to_record(name)]

    def notes(self) -> list[str]:
        return [f"{table.name}: {note}" for table in self.tables.values() for note in table.notes]


def usable_inputs(
    check: InputCheck, inputs: Sequence[Any], numbers: Sequence[int], problems: RowProblems
) -> Sequence[int]:
    """The places of those that are not refused; ``problems`` gets the others, by their rows' numbers."""
    usable = array("i")
    for at, each in enumerate(inputs):
        try:
            check(each)
        except InputError as error:
            problems.add(numbers[at], str(error))
        else:
            usable.append(at)
    return usable


def read_options(data: Data) -> ReadOptions:
    return ReadOptions(data.column_names, data.encoding, data.delimiter, data.field)


def _require_used(options: ReadOptions, names: Sequence[str]) -> None:
    """Raise InputError for an option by which none of the files is read."""
    used = frozenset[str]().union(*(options_for(local_file(name)) for name in names))
    for key, value in options._asdict().items():
        if value is not None and key not in used:
            files = ", ".join(Path(name).name for name in names)
            raise InputError(
                f"data.{key}: is for {OPTION_FILES[key]} files, and changes nothing in {files}; leave it out",
                field=f"data.{key}",
            )


def _blocks(data: Data, name: str) -> Iterator[Table]:
    if data.dataset:
        return dataset_blocks(data.dataset, data.config_name, name, data.revision)
    return file_blocks(local_file(name), read_options(data))


def _read_table(data: Data, name: str) -> Table:
    if data.dataset:
        return read_dataset(data.dataset, data.config_name, name, data.revision, read_options(data))
    return read_file(local_file(name), read_options(data))
