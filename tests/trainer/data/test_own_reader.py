"""Files that a reader of the user's own reads, by their ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import InputError
from tests.extending import work_in, write_local
from trainer.data.readers import options_for, own_reader, read_file
from trainer.data.table import ReadOptions

LINES = """
def own(path):
    import numpy
    lines = path.read_text().splitlines()
    return {"text": lines, "label": numpy.arange(len(lines)), "none": [None] * len(lines)}
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that no reader of Tuneship's reads, and a working directory."""
    path = work_in(monkeypatch, tmp_path) / "rows.own"
    path.write_text("one\ntwo\n")
    return path


def test_columns(rows: Path) -> None:
    """What it gives are the table's columns, as Python's own values."""
    write_local(rows.parent, LINES, readers="own")
    table = read_file(rows)
    assert table.columns == {"text": ["one", "two"], "label": [0, 1], "none": [None, None]}
    assert table.name == "rows.own"
    assert options_for(rows) == frozenset()
    assert own_reader("rows.own.gz") == own_reader("rows.own")
    assert own_reader("rows.csv") is None


def test_without_a_reader(rows: Path) -> None:
    """The message says that there can be one."""
    with pytest.raises(InputError, match=r"rows\.own: \.own is not supported; .*a reader of your own .*extensions\.md"):
        read_file(rows)


def test_options_of_other_files(rows: Path) -> None:
    """Names of columns are for tables that have none."""
    write_local(rows.parent, LINES, readers="own")
    with pytest.raises(InputError, match=r"data\.column_names is for"):
        read_file(rows, ReadOptions(column_names=("a", "b")))


def test_a_file_that_is_missing(rows: Path) -> None:
    """As for any other file, with the nearest name."""
    write_local(rows.parent, LINES, readers="own")
    with pytest.raises(InputError, match=r"there is no such file; did you mean .*rows\.own\?"):
        read_file(rows.with_name("row.own"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise ValueError('page 7')", r"cannot read rows\.own: ValueError: page 7"),
        ("return ['one', 'two']", "a mapping from names to columns is needed"),
        ("return {1: ['one']}", "a mapping from names to columns is needed"),
        ("return {'text': 'one'}", "as column 'text'; a sequence of values is needed"),
        ("return {'text': ['a'], 'label': []}", "columns of different lengths .*text 1, label 0"),
        ("return {}", "or none: none"),
    ],
)
def test_what_is_no_table(rows: Path, body: str, problem: str) -> None:
    """The message has the reader's name and the file's."""
    write_local(rows.parent, f"def own(path):\n    {body}\n", readers="own")
    with pytest.raises(InputError, match=rf"readers\.own of tuneship\.toml .*{problem}"):
        read_file(rows)
