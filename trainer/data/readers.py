"""Files as columns, every value as written.

``datasets`` does not read text formats here: it changes "NA", "" and dates, and does not name the broken line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serving.errors import InputError
from trainer.data.arrow import read_parquet
from trainer.data.conll import is_conll, read_conll
from trainer.data.delimited import read_csv, read_tsv
from trainer.data.encodings import COMPRESSED, describe_encoding
from trainer.data.json_files import read_json, read_json_lines
from trainer.data.table import NO_OPTIONS, ReadOptions, Table, content_of, text_of

_UNREAD = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "is a spreadsheet; save its sheet as CSV"),
    **dict.fromkeys((".zip", ".tar", ".7z"), "is an archive; unpack it"),
    **dict.fromkeys((".pkl", ".pickle", ".pt"), "is pickled, and may hold code; save it as CSV, JSON lines or Parquet"),
    **dict.fromkeys((".arrow", ".feather"), "is no data file here; give its data set's folder by data.dataset"),
}


def read_file(path: Path, options: ReadOptions = NO_OPTIONS) -> Table:
    """Raises InputError naming file and line, counted from 1; the table has the problems of single rows."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = next((each for each in reversed(suffixes) if each not in COMPRESSED), "")
    reader = _READERS.get(suffix)
    if path.is_dir():
        raise InputError(f"{path.name}: is a folder; give a data set's folder by data.dataset, in place of data.train")
    if reader is None:
        problem = _UNREAD.get(suffix, f"{suffix or 'no extension'} is not supported")
        raise InputError(f"{path.name}: {problem}; read are {', '.join(_READERS)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; paths are relative to the recipe's folder")
    if options.column_names and reader in (read_json, read_json_lines, read_parquet):
        raise InputError(
            f"{path.name}: data.column_names is for .csv, .tsv and .conll; this file names its own columns"
        )
    table = reader(path, options)
    if reader is not read_parquet and (note := describe_encoding(content_of(path), options.encoding)):
        table.notes.append(note)
    return table


def _read_conll(path: Path, options: ReadOptions) -> Table:
    return read_conll(path, options.column_names, options.encoding)


def _read_txt(path: Path, options: ReadOptions) -> Table:
    """CoNLL where every line ends in a tag, and a table otherwise."""
    if options.delimiter or not is_conll(text_of(path, options.encoding)):
        return read_tsv(path, options)
    table = _read_conll(path, options)
    table.notes.append("is read as CoNLL, as every line ends in a tag")
    return table


_READERS: dict[str, Callable[[Path, ReadOptions], Table]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".txt": _read_txt,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".conll": _read_conll,
    ".bio": _read_conll,
    ".iob2": _read_conll,
}
