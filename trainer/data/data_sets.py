"""Hub data sets and data set folders, a split at a time.

The files of a folder are found as ``datasets`` finds them, and read as they would be by ``data.train``: ``datasets``
itself changes "NA", "0101", "True" and dates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.arrow import from_dataset, name_classes
from trainer.data.readers import read_file
from trainer.data.table import NO_OPTIONS, ReadOptions, Table

_OURS = ("csv", "json", "parquet")
"""The modules of ``datasets`` whose files are read here."""


def read_dataset(
    dataset: str, config_name: str | None, split: str, revision: str | None, options: ReadOptions = NO_OPTIONS
) -> Table:
    """One split of a hub data set, of a folder, or of what ``save_to_disk`` wrote; raises InputError."""
    folder, name = Path(dataset), f"{Path(dataset).name}[{split}]"
    if not folder.is_dir():
        return from_dataset(name, _load(dataset, config_name, split, {"revision": revision}))
    if _is_saved(folder):
        return from_dataset(name, _load_from_disk(folder, split, keep_in_memory=True))
    with tempfile.TemporaryDirectory() as cache:
        return _read_folder(folder, name, config_name, split, options, cache)


def _read_folder(
    folder: Path, name: str, config_name: str | None, split: str, options: ReadOptions, cache: str
) -> Table:
    import datasets

    with _refusing(str(folder), split):
        builder = datasets.load_dataset_builder(str(folder), config_name, cache_dir=cache)
    files = {str(key): [Path(file) for file in of_split] for key, of_split in (builder.config.data_files or {}).items()}
    if type(builder).__module__.split(".")[-1] not in _OURS:
        options_of_files = {"cache_dir": cache, "keep_in_memory": True}
        return from_dataset(name, _load(str(folder), config_name, split, options_of_files))
    if split not in files:
        raise InputError(f"data.dataset: {folder}: no split {split!r}; splits there: {', '.join(files)}")
    options = _options_of(builder.config, options)
    tables = [name_classes(read_file(file, options), builder.info.features) for file in files[split]]
    return tables[0] if len(tables) == 1 else _join(name, tables)


def _options_of(config: Any, options: ReadOptions) -> ReadOptions:
    """The recipe's, or else those of the README's configuration."""
    separator = getattr(config, "sep", ",")
    return ReadOptions(
        column_names=options.column_names or getattr(config, "column_names", None),
        encoding=options.encoding or getattr(config, "encoding", None),
        delimiter=options.delimiter or (None if separator == "," else separator),
        field=options.field or getattr(config, "field", None),
    )


def _join(name: str, tables: Sequence[Table]) -> Table:
    """Rows are counted over all files."""
    joined = Table(name, {})
    for column in dict.fromkeys(column for table in tables for column in table.columns):
        joined.columns[column] = [value for table in tables for value in table.columns.get(column, [None] * len(table))]
    rows = 0
    for table in tables:
        joined.problems.extend(table.problems, rows, table.name)
        joined.label_names.update(table.label_names)
        joined.notes.extend(f"{table.name}: {note}" for note in table.notes)
        rows += len(table)
    return joined


def open_dataset(dataset: str, config_name: str | None, split: str, revision: str | None) -> tuple[str, Any]:
    """Its name, and the rows as ``datasets`` reads them from disk; raises InputError for a folder of files."""
    folder, name = Path(dataset), f"{Path(dataset).name}[{split}]"
    if not folder.is_dir():
        return name, _load(dataset, config_name, split, {"revision": revision})
    if _is_saved(folder):
        return name, _load_from_disk(folder, split, keep_in_memory=False)
    raise InputError(
        f"data.dataset: {folder}: a folder of files cannot be streamed; name the files by data.train and data.test",
        field="data.dataset",
    )


def _is_saved(folder: Path) -> bool:
    """By ``save_to_disk``."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _load_from_disk(folder: Path, split: str, *, keep_in_memory: bool) -> Any:
    import datasets

    with _refusing(str(folder), split):
        loaded = datasets.load_from_disk(str(folder), keep_in_memory=keep_in_memory)
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    if split not in splits:
        raise InputError(f"data.dataset: {folder}: no split {split!r}; splits there: {', '.join(splits)}")
    return splits[split]


def _load(dataset: str, config_name: str | None, split: str, options: dict[str, Any]) -> Any:
    import datasets

    datasets.disable_progress_bars()
    with _refusing(dataset, split):
        return datasets.load_dataset(dataset, config_name, split=split, **options)


@contextmanager
def _refusing(dataset: str, split: str) -> Iterator[None]:
    import datasets

    try:
        yield
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"data.dataset: {dataset}, split {split}: {reason}; give files by data.train where no hub can be reached"
        ) from error
