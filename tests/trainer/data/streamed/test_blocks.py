"""Files in parts: the same rows, numbers, problems and words as of whole files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import feather, parquet

from serving.errors import InputError
from tests.tiny import write_csv
from tests.trainer.conftest import training_task
from trainer.data.rows import Rows
from trainer.data.streamed import blocks
from trainer.data.streamed.row_store import RowStore
from trainer.setup.sources import Sources

ROWS = [(f"text {at}, “quoted”\nand more", ("a", "b", "NA")[at % 3]) for at in range(20)]


def write_lines(path: Path, rows: Any) -> None:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))


def write_parquet(path: Path, rows: Any) -> None:
    parquet.write_table(_table(rows), path, row_group_size=6)


def write_arrow(path: Path, rows: Any) -> None:
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, _table(rows).schema) as writer:
        writer.write_table(_table(rows), max_chunksize=5)


def write_packed(path: Path, rows: Any) -> None:
    write_lines(path, rows)
    path.write_bytes(gzip.compress(path.read_bytes()))


def _table(rows: Any) -> Any:
    return pyarrow.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})


WRITERS: dict[str, Callable[[Path, Any], Any]] = {
    "rows.csv": write_csv,
    "rows.jsonl": write_lines,
    "rows.jsonl.gz": write_packed,
    "rows.parquet": write_parquet,
    "rows.arrow": write_arrow,
    "rows.feather": lambda path, rows: feather.write_feather(_table(rows), path),
}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ROWS", 4)


def read(path: Path, folder: Path, **data: Any) -> Sources:
    """A file's rows, streamed."""
    reader = training_task("text-classification", data={"train": str(path), "streaming": True, **data})
    sources = Sources(reader, RowStore(folder))
    sources.read([str(path)])
    return sources


@pytest.mark.parametrize("name", WRITERS)
def test_all_formats(tmp_path: Path, name: str) -> None:
    """Every value comes as it is written, with its row's number."""
    WRITERS[name](tmp_path / name, ROWS)
    (rows,) = read(tmp_path / name, tmp_path).rows.values()
    assert [tuple(pair) for pair in rows.pairs()] == ROWS
    assert list(rows.numbers) == list(range(1, 21))
    assert rows.take([3, 1]).inputs == [ROWS[3][0], ROWS[1][0]]


def test_saved_data_set(tmp_path: Path) -> None:
    """What datasets has saved is read from its files, with class names in place of numbers."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    saved = datasets.Dataset.from_dict({"text": [f"t{at}" for at in range(9)], "label": [0, 1, 1] * 3}, features)
    datasets.DatasetDict({"train": saved}).save_to_disk(tmp_path / "saved")
    reader = training_task(
        "text-classification", data={"train": None, "dataset": str(tmp_path / "saved"), "streaming": True}
    )
    sources = Sources(reader, RowStore(tmp_path))
    sources.read(["train"])
    rows: Rows = sources.rows["train"]
    assert list(rows.targets) == ["no", "yes", "yes"] * 3
    assert sources.tables["train"].label_names == {"label": ["no", "yes"]}


def test_problems_of_all_parts(tmp_path: Path) -> None:
    """Each is told with its line, in whatever part it is."""
    write_lines(
        tmp_path / "rows.jsonl", [(text, "" if at in (1, 18) else label) for at, (text, label) in enumerate(ROWS)]
    )
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('\n{"text": "a", "text": "b", "label": "c"}\n{"text": "no label"}\n')
    sources = read(tmp_path / "rows.jsonl", tmp_path)
    told = sources.describe()
    assert "row 2: label is missing" in told
    assert "row 19: label is missing" in told
    assert "line 22: not valid JSON (the key 'text' occurs twice in an object)" in told
    assert "row 22: label is missing" in told
    assert len(sources.rows[str(tmp_path / "rows.jsonl")]) == 18


def test_a_file_that_is_all_wrong_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand problems are enough."""
    monkeypatch.setattr("trainer.setup.streamed_source.MOST_PROBLEMS", 5)
    write_lines(tmp_path / "rows.jsonl", [(text, "") for text, _ in ROWS])
    assert len(next(iter(read(tmp_path / "rows.jsonl", tmp_path).problems.values()))) == 8


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.json", b"[]", r"rows\.json: cannot be streamed; data\.streaming reads \.jsonl"),
        ("rows.jsonl", b'[{"text": "a"}]', "holds an array, which cannot be streamed; write an object a line"),
        ("rows.jsonl", b"", "is empty"),
        ("rows.jsonl", b'{"text": "a", "label": "b"}\n{"text": "\xff"}', r"rows\.jsonl, line 2: not utf-8"),
        ("rows.csv", b'text,label\na,b\n"c,d\n', r"rows\.csv, line 3: not valid CSV"),
        ("rows.csv", b"text,other\na,b\n", "no column 'label'"),
        ("rows.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("rows.jsonl.gz", b"\x1f\x8b\x08 broken", "cannot be read"),
    ],
)
def test_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """With the file, the line where there is one, and what to do."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read(tmp_path / name, tmp_path)
