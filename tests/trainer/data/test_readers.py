"""Data files: read exactly as written, refused with the line at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import InputError
from trainer.data.readers import read_dataset, read_file
from trainer.data.table import Table

HARD = [
    "NA",
    "null",
    "007",
    "2020-01-01",
    " spaced ",
    'a "quoted", one',
    "two\nlines",
    "two\r\nlines",
    "日本 🙂",
]


def table(folder: Path, name: str, content: str | bytes, columns: list[str] | None = None) -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_file(path, columns)


def test_csv_exact(tmp_path: Path) -> None:
    """No text of a CSV file turns into a number, a date or nothing."""
    quoted = "".join('"' + text.replace('"', '""') + '",x\n' for text in HARD)
    assert table(tmp_path, "a.csv", "text,label\n" + quoted).columns["text"] == HARD


def test_csv_line_ends(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends and blank lines are no part of the data."""
    found = table(tmp_path, "a.csv", b"\xef\xbb\xbftext,label\r\n\r\na,x\r\nb,y\r\n\r\n")
    assert found.columns == {"text": ["a", "b"], "label": ["x", "y"]}


def test_tsv(tmp_path: Path) -> None:
    """TSV knows no quoting: a quote is a character like any other."""
    found = table(tmp_path, "a.tsv", "text\tlabel\n\"half quoted\tx\nit's, fine\ty\n")
    assert found.columns == {"text": ['"half quoted', "it's, fine"], "label": ["x", "y"]}


def test_no_header(tmp_path: Path) -> None:
    """column_names name the columns of a file whose first line is a row."""
    found = table(tmp_path, "a.tsv", "good film\t1\nbad film\t0\n", ["text", "label"])
    assert found.columns == {"text": ["good film", "bad film"], "label": ["1", "0"]}


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson"])
def test_json_lines_exact(tmp_path: Path, suffix: str) -> None:
    """JSON values keep their types, dates stay text, and U+2028 ends no line."""
    content = '{"text": "2020-01-01", "label": 1}\n\n{"text": "a\u2028b", "label": true}\n{"label": "x"}\n'
    found = table(tmp_path, f"a.{suffix}", content)
    assert found.columns == {"text": ["2020-01-01", "a\u2028b", None], "label": [1, True, "x"]}


def test_parquet(tmp_path: Path) -> None:
    """Parquet is read with its types, class names in their order, and -1 as no label."""
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["z", "a"])})
    rows = {"text": ["NA", "b", "c"], "label": [0, 1, -1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    found = read_file(tmp_path / "a.parquet")
    assert found.columns == {"text": ["NA", "b", "c"], "label": ["z", "a", None]}
    assert found.label_names == {"label": ["z", "a"]}


def test_data_set_folder(tmp_path: Path) -> None:
    """A data set's folder is read through datasets, a split by its name, with nothing left in the home."""
    import datasets

    for split in ("train", "test"):
        datasets.Dataset.from_dict({"text": [split], "label": ["x"]}).to_parquet(str(tmp_path / f"{split}.parquet"))
    before = set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*"))
    assert read_dataset(str(tmp_path), None, "test", None).columns["text"] == ["test"]
    assert set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*")) == before
    with pytest.raises(InputError, match=r"split dev: .*dev"):
        read_dataset(str(tmp_path), None, "dev", None)


def test_unreachable_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hub can be reached, the message says to give files."""
    import datasets

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(InputError, match=r"owner/name, split train: Couldn't reach.*give files by data\.train"):
        read_dataset("owner/name", None, "train", None)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "", "a.csv: is empty"),
        ("a.jsonl", "\n\n", "a.jsonl: is empty"),
        (
            "a.csv",
            "text,label\na,x\nb,c,y\n",
            "a.csv, line 3: has 3 fields, but there are 2 columns (text, label)",
        ),
        ("a.csv", 'text,label\n"a\nb",x\nc\n', "a.csv, line 4: has 1 field,"),
        ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', "a.csv, line 3: not valid CSV"),
        ("a.csv", "text,text\na,x\n", "a.csv: column 'text' occurs twice"),
        ("a.tsv", "text\tlabel\na\n", "a.tsv, line 2: has 1 field,"),
        ("a.csv", b"text,label\nok,x\ncaf\xe9,y\n", "a.csv, line 3: not UTF-8 (byte 19 of the file is 0xe9)"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', "a.jsonl, line 2: not UTF-8 (byte 25"),
        ("a.jsonl", '{"text": "ok"}\n{"text": \n', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: not valid JSON (nested too deeply)"),
        ("a.jsonl", '["a", "b"]\n', "a.jsonl, line 1: is not a JSON object"),
        ("a.parquet", "no parquet", "a.parquet: cannot be read as Parquet"),
        ("a.xlsx", "x", "a.xlsx: .xlsx is not supported; give .csv, .tsv, .txt, .json"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    """What cannot be read is named by file and line."""
    with pytest.raises(InputError) as caught:
        table(tmp_path, name, content)
    assert expected in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file's message says where paths are looked up."""
    with pytest.raises(InputError, match="there is no such file; paths are relative to the recipe's folder"):
        read_file(tmp_path / "absent.csv")


def test_column_names_misplaced(tmp_path: Path) -> None:
    """column_names with a file that names its own columns are refused."""
    with pytest.raises(InputError, match=r"data\.column_names is for \.csv, \.tsv and \.conll"):
        table(tmp_path, "a.jsonl", "{}", ["text"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_by_any_name(name: str, tmp_path: Path) -> None:
    """JSON lines are read under each of the names they go by."""
    (tmp_path / name).write_text('{"text": "NA", "label": 1}\n', encoding="utf-8")
    assert read_file(tmp_path / name).columns == {"text": ["NA"], "label": [1]}
