"""Files and data sets as columns, every value as written.

``datasets`` does not read text formats here: it changes "NA", "" and dates, and does not name the broken line.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.conll import read_conll
from trainer.data.entity_spans import pair_as_row
from trainer.data.squad import is_squad, read_squad
from trainer.data.table import Table, text_of

_LONGEST_FIELD = 2**31 - 1


def read_file(path: Path, column_names: Sequence[str] | None = None) -> Table:
    """``column_names`` are for files without a header; raises InputError naming file and line, counted from 1."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path.name}: {path.suffix or 'no extension'} is not supported; give {', '.join(_READERS)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; paths are relative to the recipe's folder")
    if column_names and reader in (_read_json, _read_json_lines, _read_parquet):
        raise InputError(
            f"{path.name}: data.column_names is for .csv, .tsv and .conll; this file names its own columns"
        )
    return reader(path, column_names)


def read_dataset(dataset: str, config_name: str | None, split: str, revision: str | None) -> Table:
    """One split of a hub data set or of a folder; raises InputError."""
    if not Path(dataset).is_dir():
        return _load_dataset(dataset, config_name, split, {"revision": revision})
    with tempfile.TemporaryDirectory() as cache:
        return _load_dataset(dataset, config_name, split, {"cache_dir": cache, "keep_in_memory": True})


def _load_dataset(dataset: str, config_name: str | None, split: str, options: dict[str, Any]) -> Table:
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(dataset, config_name, split=split, **options)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"data.dataset: {dataset}, split {split}: {reason}; give files by data.train where no hub can be reached"
        ) from error
    return _from_dataset(f"{Path(dataset).name}[{split}]", loaded)


def _read_csv(path: Path, column_names: Sequence[str] | None) -> Table:
    csv.field_size_limit(_LONGEST_FIELD)  # columns.py has a limit, and names the row that exceeds it
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for record in reader:
            records.append((line, record))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path.name}, line {line}: not valid CSV ({error}); check the quotes") from None
    return _from_records(path, [(at, record) for at, record in records if record], column_names)


def _read_tsv(path: Path, column_names: Sequence[str] | None) -> Table:
    lines = text_of(path).replace("\r\n", "\n").split("\n")
    records = [(at, line.split("\t")) for at, line in enumerate(lines, 1) if line]
    return _from_records(path, records, column_names)


def _from_records(path: Path, records: list[tuple[int, list[str]]], names: Sequence[str] | None) -> Table:
    if not records:
        raise InputError(f"{path.name}: is empty; give a header and at least one row for each label")
    header = list(names) if names else records.pop(0)[1]
    _check_header(path, header)
    for line, record in records:
        if len(record) != len(header):
            raise InputError(
                f"{path.name}, line {line}: has {_count(len(record), 'field')}, but there are"
                f" {_count(len(header), 'column')} ({', '.join(header)});"
                " quote a field that holds the separator"
            )
    return Table(path.name, {name: [row[at] for _, row in records] for at, name in enumerate(header)}, {})


def _check_header(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path.name}: column {twice[0]!r} occurs twice; give each column its own name")


def _read_json_lines(path: Path, _names: Sequence[str] | None) -> Table:
    rows = [_json_row(path, at, line) for at, line in enumerate(text_of(path).split("\n"), 1) if line.strip()]
    if not rows:
        raise InputError(f"{path.name}: is empty; give one JSON object a line")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(path.name, {name: [row.get(name) for row in rows] for name in names}, {})


def _read_json(path: Path, names: Sequence[str] | None) -> Table:
    try:
        content = json.loads(text_of(path))
    except (json.JSONDecodeError, RecursionError):  # several lines, or a broken one, which the other reader names
        content = None
    return read_squad(path) if is_squad(content) else _read_json_lines(path, names)


def _json_row(path: Path, at: int, line: str) -> dict[str, Any]:
    try:
        row = pair_as_row(json.loads(line))
    except (json.JSONDecodeError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply")
        raise InputError(f"{path.name}, line {at}: not valid JSON ({reason}); give one object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{path.name}, line {at}: is not a JSON object; give one object a line")
    return row


def _read_parquet(path: Path, _names: Sequence[str] | None) -> Table:
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        try:
            loaded = datasets.Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise InputError(f"{path.name}: cannot be read as Parquet ({error})") from error
        return _from_dataset(path.name, loaded)


def _from_dataset(name: str, loaded: Any) -> Table:
    import datasets

    classes = {key: value for key, value in loaded.features.items() if isinstance(value, datasets.ClassLabel)}
    columns = {key: loaded[key][:] for key in loaded.column_names}
    for key, feature in classes.items():
        columns[key] = [_class_name(feature, value) for value in columns[key]]
    return Table(name, columns, {key: list(feature.names) for key, feature in classes.items()})


def _class_name(feature: Any, value: int | None) -> str | None:
    """The hub marks a row without a label by -1."""
    return None if value is None or value < 0 else str(feature.int2str(value))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_READERS: dict[str, Callable[[Path, Sequence[str] | None], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".txt": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
    ".conll": read_conll,
    ".bio": read_conll,
    ".iob2": read_conll,
}
