"""Files as tables of a few thousand rows each, which are read as whole files are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from serving.errors import InputError
from trainer.data.arrow import features_of, name_classes
from trainer.data.data_sets import open_dataset
from trainer.data.delimited import csv_records, records_table
from trainer.data.encodings import codec_of, refuse_other_kinds
from trainer.data.json_files import lines_table
from trainer.data.readers import require_file, suffix_of
from trainer.data.table import ReadOptions, Table

ROWS = 8192
_BEGINNING = 2**16
_OPENERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)


def file_blocks(path: Path, options: ReadOptions) -> Iterator[Table]:
    """Raises InputError naming file and line, counted from 1."""
    suffix = suffix_of(path.name)
    if suffix not in _BLOCKS:
        raise InputError(
            f"{path.name}: cannot be streamed; data.streaming reads {', '.join(_BLOCKS)}, also as .gz, .bz2 or .xz, and"
            " what datasets has saved by save_to_disk"
        )
    require_file(path)
    return _BLOCKS[suffix](path, options)


def dataset_blocks(dataset: str, config_name: str | None, split: str, revision: str | None) -> Iterator[Table]:
    """Of a hub data set, or of what ``save_to_disk`` wrote."""
    name, loaded = open_dataset(dataset, config_name, split, revision)
    for start in range(0, len(loaded), ROWS):
        yield name_classes(Table(name, loaded[start : start + ROWS]), loaded.features)


def _json_lines(path: Path, options: ReadOptions) -> Iterator[Table]:
    with _open_text(path, options) as (text, beginning):
        if beginning.lstrip().startswith("["):
            raise InputError(f"{path.name}: holds an array, which cannot be streamed; write an object a line")
        lines = ((at, line) for at, line in enumerate(text, 1) if line.strip())
        names: list[str] = []
        for part in iter(lambda: list(islice(lines, ROWS)), []):
            table = lines_table(path, part, names)
            names = names or list(table.columns)
            yield table
        if not names:
            lines_table(path, [])  # says that it is empty


def _csv(path: Path, options: ReadOptions) -> Iterator[Table]:
    with _open_text(path, options) as (text, beginning):
        records = csv_records(path, text, beginning, options)
        parts = iter(lambda: list(islice(records, ROWS)), [])
        yield from records_table(path, parts, options.column_names)


def _parquet(path: Path, _options: ReadOptions) -> Iterator[Table]:
    from pyarrow import parquet

    with _reading(path, "Parquet"), parquet.ParquetFile(path) as file:
        yield from _tables(path, file.schema_arrow, file.iter_batches(ROWS))


def _arrow(path: Path, _options: ReadOptions) -> Iterator[Table]:
    import pyarrow
    from pyarrow import ipc

    with _reading(path, "Arrow"), pyarrow.OSFile(str(path)) as source:
        if source.read(6) == b"ARROW1":
            file = ipc.open_file(source)
            batches: Iterator[Any] = (file.get_batch(at) for at in range(file.num_record_batches))
        else:
            source.seek(0)
            file = ipc.open_stream(source)
            batches = iter(file)
        parts = (batch.slice(start, ROWS) for batch in batches for start in range(0, len(batch), ROWS))
        yield from _tables(path, file.schema, parts)


def _tables(path: Path, schema: Any, batches: Iterator[Any]) -> Iterator[Table]:
    features = features_of(schema)
    for batch in batches:
        columns = {name: batch.column(at).to_pylist() for at, name in enumerate(schema.names)}
        yield name_classes(Table(path.name, columns), features)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path.name}: cannot be read as {kind} ({str(error).splitlines()[0]})") from error


@contextmanager
def _open_text(path: Path, options: ReadOptions) -> Iterator[tuple[TextIO, str]]:
    """And its first 64 KB; raises InputError for what is not in the encoding."""
    with path.open("rb") as file:
        magic = file.read(6)
    opener: Callable[..., Any] = next((opener for mark, opener in _OPENERS if magic.startswith(mark)), open)
    codec = options.encoding or "utf-8"
    try:
        with opener(path, "rb") as raw:
            content = raw.read(_BEGINNING)
        refuse_other_kinds(path.name, content)
        codec = codec_of(content, options.encoding)
        with opener(path, "rt", encoding=codec, newline="") as text:
            beginning = text.read(_BEGINNING)
            text.seek(0)
            yield text, beginning
    except UnicodeDecodeError:
        with opener(path, "rb") as raw:
            line = next(at for at, each in enumerate(raw, 1) if not _is_in(each, codec))
        raise InputError(
            f"{path.name}, line {line}: not {codec}; save the file as UTF-8, or say what it is by data.encoding"
        ) from None
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path.name}: cannot be read ({error}); get the file again") from error


def _is_in(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


_BLOCKS: dict[str, Callable[[Path, ReadOptions], Iterator[Table]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
}
