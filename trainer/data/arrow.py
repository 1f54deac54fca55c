"""Arrow data, as Parquet files and data sets hold it, as columns of plain values and class names."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.literals import parse_list
from trainer.data.table import ReadOptions, Table


def read_parquet(path: Path, _options: ReadOptions) -> Table:
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        try:
            loaded = datasets.Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise InputError(f"{path.name}: cannot be read as Parquet ({error})") from error
        return from_dataset(path.name, loaded)


def from_dataset(name: str, loaded: Any) -> Table:
    """With class names in place of numbers."""
    table = Table(name, {key: loaded[key][:] for key in loaded.column_names})
    return name_classes(table, loaded.features)


def name_classes(table: Table, features: Mapping[str, Any] | None) -> Table:
    """Numbers of ``ClassLabel`` columns, and of lists of them, become names; so does a number written as text."""
    for key, feature in (features or {}).items():
        names = _class_names(feature)
        if names and key in table.columns:
            name_of = _naming(names)
            table.columns[key] = [name_of(value) for value in table.columns[key]]
            table.label_names[key] = names
    return table


def _class_names(feature: Any) -> list[str]:
    import datasets

    while hasattr(feature, "feature"):  # a list of them
        feature = feature.feature
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else []


def _naming(names: list[str]) -> Callable[[Any], Any]:
    """The hub marks a row without a label by -1."""

    def name_of(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [name_of(each) for each in value]
        if isinstance(value, str) and value not in names:
            listed = parse_list(value)
            return name_of(int(value) if value.removeprefix("-").isdecimal() else listed) if listed or value else None
        if isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None if value < 0 else value
        return value

    return name_of
