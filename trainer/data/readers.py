"""Files as columns, every value as written.

``datasets`` does not read text formats here: it changes "NA", "" and dates, and does not name the broken line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving.errors import InputError
from serving.extensions.extension import Extension
from serving.extensions.registry import extension_names, find_extension
from serving.files import nearest_path
from trainer.data.arrow import read_arrow, read_parquet
from trainer.data.conll import is_conll, read_conll
from trainer.data.delimited import read_csv, read_tsv
from trainer.data.encodings import COMPRESSED, describe_encoding, name_inside
from trainer.data.json_files import read_json, read_json_lines
from trainer.data.own_reader import read_own
from trainer.data.table import NO_OPTIONS, ReadOptions, Table, content_of, packed_content_of, text_of

Reader = Callable[[Path, ReadOptions], Table]

_ARCHIVES, _SHEETS = (".tar", ".tgz", ".7z", ".rar"), (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_DATABASES, _PICKLES = (".db", ".sqlite", ".sqlite3", ".duckdb"), (".pkl", ".pickle", ".pt", ".joblib", ".npy", ".npz")
_UNREAD = {
    **dict.fromkeys(_SHEETS, "is a spreadsheet; save its sheet as CSV"),
    **dict.fromkeys(_ARCHIVES, "is an archive; unpack it"),
    **dict.fromkeys(_DATABASES, "is a database; write a table of it to a CSV file with a header"),
    **dict.fromkeys(_PICKLES, "is pickled, and may hold code; save it as CSV, JSON lines or Parquet"),
    "": "has no ending that tells what it holds; name it by that, such as rows.csv or rows.csv.gz",
}


def read_file(path: Path, options: ReadOptions = NO_OPTIONS) -> Table:
    """Raises InputError naming file and line, counted from 1; the table has the problems of single rows."""
    if path.is_dir():
        raise InputError(f"{path.name}: is a folder; give a data set's folder by data.dataset, in place of data.train")
    reader = _reader_of(path)
    if options.column_names and "column_names" not in _OPTIONS.get(reader, ()):
        raise InputError(
            f"{path.name}: data.column_names is for .csv, .tsv and .conll; this file names its own columns"
        )
    table = reader(path, options)
    if reader in _OF_TEXT and (note := describe_encoding(content_of(path), options.encoding)):
        table.notes.append(note)
    return table


def options_for(path: Path) -> frozenset[str]:
    """The `ReadOptions` that such a file is read by; raises InputError where it cannot be read."""
    return _OPTIONS.get(_reader_of(path), frozenset())


def _reader_of(path: Path) -> Reader:
    suffix = suffix_of(path.name)
    if suffix in _READERS or suffix == "":
        require_file(path)
        suffix = suffix or suffix_of(name_inside(path.name, packed_content_of(path)))
    if suffix in _READERS:
        return _READERS[suffix]
    if extension := own_reader(path.name):
        require_file(path)
        return partial(read_own, extension)
    problem = _UNREAD.get(suffix, f"{suffix} is not supported")
    raise InputError(
        f"{path.name}: {problem}; read are {', '.join(_READERS)}, and what a reader of your own reads"
        " (docs/extensions.md)"
    )


def own_reader(name: str) -> Extension | None:
    """The extension that reads such a file, if there is one; raises InputError where tuneship.toml is wrong."""
    ending = suffix_of(name).removeprefix(".")
    built_in = [suffix.removeprefix(".") for suffix in _READERS]
    if ending in ("", *built_in) or ending not in extension_names("readers"):
        return None
    return find_extension("readers", ending, built_in)


def is_read(name: str) -> bool:
    """Whether a file of this name can hold rows."""
    return suffix_of(name) in _READERS


def suffix_of(name: str) -> str:
    """The last that is none of a compression."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    return next((each for each in reversed(suffixes) if each not in COMPRESSED), "")


def require_file(path: Path) -> None:
    """Raises InputError."""
    if path.is_file():
        return
    raise InputError(f"{path}: there is no such file{nearest_path(path)}")


def _read_conll(path: Path, options: ReadOptions) -> Table:
    return read_conll(path, options.column_names, options.encoding)


def _read_txt(path: Path, options: ReadOptions) -> Table:
    """CoNLL where every line ends in a tag, and a table otherwise."""
    if options.delimiter or not is_conll(text_of(path, options.encoding)):
        return read_tsv(path, options)
    table = _read_conll(path, options)
    table.notes.append("is read as CoNLL, as every line ends in a tag")
    return table


_READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".txt": _read_txt,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".conll": _read_conll,
    ".bio": _read_conll,
    ".iob2": _read_conll,
    ".iob": _read_conll,
}
_TABLE = frozenset({"column_names", "encoding", "delimiter"})
_OPTIONS: dict[Reader, frozenset[str]] = {
    read_csv: _TABLE,
    read_tsv: _TABLE,
    _read_txt: _TABLE,
    read_json: frozenset({"encoding", "field"}),
    read_json_lines: frozenset({"encoding", "field"}),
    read_parquet: frozenset(),
    read_arrow: frozenset(),
    _read_conll: frozenset({"column_names", "encoding"}),
}
_OF_TEXT = {reader for reader, options in _OPTIONS.items() if "encoding" in options}
OPTION_FILES = {
    "column_names": ".csv, .tsv and .conll",
    "encoding": "text",
    "delimiter": ".csv and .tsv",
    "field": ".json",
}
"""By option the files that it is for."""
