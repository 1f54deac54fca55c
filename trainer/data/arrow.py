"""Arrow data, as Parquet files and data sets hold it, as columns of plain values and class names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.literals import parse_list
from trainer.data.table import ReadOptions, Table, content_of


def read_parquet(path: Path, _options: ReadOptions) -> Table:
    from pyarrow import parquet

    return _read(path, "Parquet", parquet.read_table)


def read_arrow(path: Path, _options: ReadOptions) -> Table:
    """Arrow's file or stream, or Feather."""
    return _read(path, "Arrow", _read_arrow)


def _read_arrow(file: BytesIO) -> Any:
    from pyarrow import feather, ipc

    beginning = file.getvalue()[:6]
    if beginning == b"ARROW1" or beginning.startswith(b"FEA1"):
        return feather.read_table(file)
    return ipc.open_stream(file).read_all()


def _read(path: Path, kind: str, read: Callable[[BytesIO], Any]) -> Table:
    import pyarrow

    try:
        loaded = read(BytesIO(content_of(path)))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"{path.name}: cannot be read as {kind} ({str(error).splitlines()[0]})") from error
    table = Table(path.name, {name: loaded[name].to_pylist() for name in loaded.column_names})
    return name_classes(table, features_of(loaded.schema))


def features_of(schema: Any) -> Mapping[str, Any] | None:
    """What ``datasets`` wrote beside the columns, if it wrote the file."""
    if b"huggingface" not in (schema.metadata or {}):
        return None
    import datasets

    features: Mapping[str, Any] = datasets.Features.from_arrow_schema(schema)
    return features


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
