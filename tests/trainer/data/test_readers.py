"""Data files: read exactly as written, refused with the line at fault."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import InputError
from trainer.data.readers import read_file
from trainer.data.table import ReadOptions, Table

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


def table(folder: Path, name: str, content: str | bytes, columns: list[str] | None = None, **options: str) -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_file(path, ReadOptions(columns, **options))


def zipped(*names: str, content: str = "text,label\na,x\n") -> bytes:
    """An archive of files with this content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def refusal(folder: Path, name: str, content: str | bytes, **options: str) -> str:
    """What is told of a file, or of its rows."""
    try:
        found = table(folder, name, content, **options)
    except InputError as error:
        return str(error)
    return found.problems.message(name)


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


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "a"},\n{"text": "b"}',
        '{"text": "a"}{"text": "b"}',
        '{\n"text": "a"\n}\n{\n"text": "b"\n}\n',
        '\x1e{"text": "a"}\n\x1e{"text": "b"}\n',
    ],
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_values_that_follow_one_another(tmp_path: Path, suffix: str, content: str) -> None:
    """Objects are read wherever their lines end."""
    assert table(tmp_path, f"a.{suffix}", content).columns == {"text": ["a", "b"]}


def test_json_rows_by_id(tmp_path: Path) -> None:
    """An object of more rows than columns has rows, by their ids."""
    rows = {f"id {at}": {"text": str(at), "label": "x"} for at in range(3)}
    found = table(tmp_path, "a.json", json.dumps(rows))
    assert found.columns == {"text": ["0", "1", "2"], "label": ["x"] * 3}


def test_columns_without_a_name(tmp_path: Path) -> None:
    """Columns without a name, which spreadsheets and indices leave, are named as pandas does."""
    found = table(tmp_path, "a.csv", ",text,label,,\n0,a,x,,\n")
    assert list(found.columns) == ["Unnamed: 0", "text", "label", "Unnamed: 3", "Unnamed: 4"]


def test_zip_of_one_file(tmp_path: Path) -> None:
    """An archive of one file is read as that file, whatever macOS puts beside it."""
    for name in ("a.zip", "a.csv.zip", "a.csv"):
        content = zipped("rows.csv", "__MACOSX/._rows.csv")
        assert table(tmp_path, name, content).columns == {"text": ["a"], "label": ["x"]}
    assert table(tmp_path, "b.zip", zipped("b.jsonl", content='{"text": "a"}\n')).columns == {"text": ["a"]}


def test_packed_twice(tmp_path: Path) -> None:
    """What is packed twice is unpacked twice."""
    assert len(table(tmp_path, "a.csv.gz", gzip.compress(gzip.compress(b"text\na\nb\n")))) == 2


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is told with one of nearly its name, and nothing of recipes."""
    (tmp_path / "train.csv").touch()
    with pytest.raises(InputError, match=r"trian\.csv: there is no such file; did you mean .*train\.csv\?$"):
        read_file(tmp_path / "trian.csv")


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_arrow_types(tmp_path: Path, suffix: str) -> None:
    """Categories, large strings, lists and objects are plain values, in Parquet, Arrow and Feather."""
    import pyarrow
    from pyarrow import feather, parquet

    columns = {
        "text": pyarrow.array(["NA", "b"], pyarrow.large_string()),
        "label": pyarrow.array(["x", "y"]).dictionary_encode(),
        "lists": [["a"], []],
        "objects": [{"a": 1}, {"a": 2}],
    }
    write = parquet.write_table if suffix == "parquet" else feather.write_feather
    write(pyarrow.table(columns), str(tmp_path / f"a.{suffix}"))
    found = read_file(tmp_path / f"a.{suffix}").columns
    assert found == {"text": ["NA", "b"], "label": ["x", "y"], "lists": [["a"], []], "objects": [{"a": 1}, {"a": 2}]}


def test_parquet(tmp_path: Path) -> None:
    """Parquet is read with its types, class names in their order, and -1 as no label."""
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["z", "a"])})
    rows = {"text": ["NA", "b", "c"], "label": [0, 1, -1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    found = read_file(tmp_path / "a.parquet")
    assert found.columns == {"text": ["NA", "b", "c"], "label": ["z", "a", None]}
    assert found.label_names == {"label": ["z", "a"]}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "", "a.csv: is empty"),
        ("a.jsonl", "\n\n", "a.jsonl: is empty"),
        (
            "a.csv",
            "text,label\na,x\nb,c,y\n",
            "a.csv, line 3: has 3 fields, and the header 2 columns (text, label)",
        ),
        ("a.csv", 'text,label\n"a\nb",x\nc\n', "a.csv, line 4: has 1 field,"),
        ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', "a.csv, line 3: not valid CSV"),
        ("a.csv", "text,text\na,x\n", "a.csv: column 'text' occurs twice"),
        ("a.tsv", "text\tlabel\na\n", "a.tsv, line 2: has 1 field,"),
        ("a.csv", b"text,label\nok,x\ncaf\xe9,y\n", "a.csv, line 3: not UTF-8 (byte 19 of the file is 0xe9)"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', "a.jsonl, line 2: not UTF-8 (byte 25"),
        ("a.jsonl", '{"text": "ok"}\n{"text": \n', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: not valid JSON (nested too deeply, or a number"),
        ("a.jsonl", '["a", "b"]\n', "a.jsonl: is not a JSON object but a text"),
        ("a.jsonl", '{"text": "a"}\n["a", "b"]\n', "a.jsonl, line 2: is not a JSON object but a list"),
        ("a.parquet", "no parquet", "a.parquet: cannot be read as Parquet"),
        ("a.xlsx", "x", "a.xlsx: is a spreadsheet; save its sheet as CSV; read are .csv, .tsv, .txt, .json"),
        ("a.doc", "x", "a.doc: .doc is not supported; read are .csv"),
        ("a.pkl", "x", "a.pkl: is pickled, and may hold code"),
        ("a.csv", b"PK\x03\x04...", "a.csv: cannot be unpacked (File is not a zip file)"),
        ("a.csv", zipped("b.csv", "c.csv"), "a.csv: is an archive of 2 files (b.csv, c.csv); unpack it"),
        ("a.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "a.csv: is a spreadsheet or a document; save"),
        ("a.csv", b"SQLite format 3\0...", "a.csv: is a SQLite database; write a table of it to a CSV file"),
        ("a.sqlite3", b"SQLite format 3\0...", "a.sqlite3: is a database; write a table of it to a CSV file"),
        ("a.csv", "version https://git-lfs.github.com/spec/v1\n", "a.csv: is no data but a pointer of Git LFS"),
        ("a.jsonl", "<!DOCTYPE html><html></html>", "a.jsonl: is a web page; get the file by"),
        ("a.csv", '[{"text": "a"}]', "a.csv: holds JSON; name it .json"),
        ("a.csv", '{"text": "a", "label": "x"}\n' * 2, "a.csv: holds JSON; name it .json"),
        ("a.csv", " \n\n", "a.csv: is empty"),
        ("a.csv", "My rows\ntext,label\na,x\n", "a.csv: its first line has one column (My rows), and each other more"),
        ("a.csv", "text,label\na,x\n label , text \n", "a.csv, line 3: holds the names of the columns"),
        ("rows", "text\na\n", "rows: has no ending that tells what it holds; name it by that"),
        ("a.json", '[{"text": "a"},]', "a.json, line 1: not valid JSON"),
        ("a.jsonl", '{"text": "a"}\n# b\n', "line 2: not valid JSON (Expecting value): '# b'; give one object a line"),
        ("a.jsonl", '{"text": "a", "text": "b"}\n' * 2, "line 1: not valid JSON (the key 'text' occurs twice in an"),
        ("a.json", '[{"text": "a", "text": "b"}]', "a.json: the key 'text' occurs twice in an object"),
        ("a.csv", b"text,label\na\0,x\n", "a.csv, line 2: holds a NUL byte"),
        ("a.csv", "text,label\na,x\n".encode("utf-16-le"), "without a byte order mark; give data.encoding: utf-16-le"),
        ("a.csv.gz", b"\x1f\x8b nothing", "a.csv.gz: cannot be unpacked"),
        ("a.json", '{"rows": 1', "a.json, line 1: not valid JSON"),
        ("a.json", '[\n  {"text": "a"},\n  {"text": }\n]', "a.json, line 3: not valid JSON"),
        ("a.json", "7", "a.json: holds a number; give an array of objects"),
        ("a.json", '{"meta": {}, "data": [{"text": "a"}]}', "say where they are: data.field: data"),
        ("a.json", '{"x": {"train": [{"text": "a"}], "test": [{"text": "b"}]}}', "data.field: x.train (or x.test)"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    """What cannot be read is named by file and line."""
    assert expected in refusal(tmp_path, name, content)


def test_column_names_misplaced(tmp_path: Path) -> None:
    """column_names with a file that names its own columns are refused."""
    with pytest.raises(InputError, match=r"data\.column_names is for \.csv, \.tsv and \.conll"):
        table(tmp_path, "a.jsonl", "{}", ["text"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_by_any_name(name: str, tmp_path: Path) -> None:
    """JSON lines are read under each of the names they go by."""
    (tmp_path / name).write_text('{"text": "NA", "label": 1}\n', encoding="utf-8")
    assert read_file(tmp_path / name).columns == {"text": ["NA"], "label": [1]}


@pytest.mark.parametrize("indent", [None, 2])
def test_json_array(tmp_path: Path, indent: int | None) -> None:
    """An array of objects is read, on one line or many, as JSON lines too, or inside an object."""
    rows = [{"text": "NA", "label": 1}, {"text": "b", "label": None}]
    content = json.dumps(rows, indent=indent)
    expected = {"text": ["NA", "b"], "label": [1, None]}
    assert table(tmp_path, "a.json", content).columns == expected
    assert table(tmp_path, "a.jsonl", content).columns == expected
    wrapped = json.dumps({"version": 1, "result": {"rows": rows}}, indent=indent)
    assert table(tmp_path, "b.json", wrapped, field="result.rows").columns == expected
    assert "b.json: no 'row' (data.field: result.row); the keys there: rows" in refusal(
        tmp_path, "b.json", wrapped, field="result.row"
    )


@pytest.mark.parametrize(
    "content",
    [
        {"text": ["a", "b"], "label": ["x", "y"]},
        {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}},
        {"text": {"r": "a", "s": "b"}, "label": {"r": "x", "s": "y"}},
        {"0": {"text": "a", "label": "x"}, "1": {"text": "b", "label": "y"}},
        {"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]},
    ],
)
def test_json_as_pandas_writes_it(tmp_path: Path, content: dict[str, object]) -> None:
    """Columns, rows by number and split tables are read as the rows that they are."""
    assert table(tmp_path, "a.json", json.dumps(content)).columns == {"text": ["a", "b"], "label": ["x", "y"]}


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """Packed files are read, whatever is in them."""
    expected = {"text": ["a"], "label": ["x"]}
    assert table(tmp_path, f"a.csv{suffix}", pack(b"text,label\na,x\n")).columns == expected
    assert table(tmp_path, f"a.jsonl{suffix}", pack(b'{"text": "a", "label": "x"}\n')).columns == expected


def test_packed_with_zstandard(tmp_path: Path) -> None:
    """So are those of zstd."""
    import pyarrow

    packed = pyarrow.compress(b"text,label\na,x\n", codec="zstd", asbytes=True)
    assert table(tmp_path, "a.csv.zst", packed).columns == {"text": ["a"], "label": ["x"]}


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_other_separators(tmp_path: Path, delimiter: str, name: str) -> None:
    """Another separator is recognised by the header and the rows, and noted; commas in texts do no harm."""
    content = f"text{delimiter}label\na, b{delimiter}x\nc, d, e{delimiter}y\n"
    found = table(tmp_path, "a.csv", content)
    assert found.columns == {"text": ["a, b", "c, d, e"], "label": ["x", "y"]}
    assert found.notes == [f"its columns are separated by {name}"]
    given = table(tmp_path, "a.csv", content, delimiter=delimiter)
    assert (given.columns, given.notes) == (found.columns, [])
    assert table(tmp_path, "b.csv", f"a, b{delimiter}x\nc{delimiter}y\n", ["text", "label"]).columns["text"] == [
        "a, b",
        "c",
    ]


def test_separators_in_other_files(tmp_path: Path) -> None:
    """A .tsv with commas and Excel's sep= line are recognised; one column with such marks in its texts stays one."""
    assert table(tmp_path, "a.tsv", 'text,label\n"a, b",x\n').columns == {"text": ["a, b"], "label": ["x"]}
    assert table(tmp_path, "a.csv", "sep=;\r\ntext;label\r\na;x\r\n").columns == {"text": ["a"], "label": ["x"]}
    assert table(tmp_path, "b.csv", "text\na;b\nc;d\n").columns == {"text": ["a;b", "c;d"]}


QUOTED_TSV = [
    'text\tlabel\n"say ""yes"""\tx\nno\ty\n',
    'text\tlabel\n"say\ttab"\tx\nno\ty\n',
    '"text"\t"label"\n"say"\t"x"\n"no"\t"y"\n',
    'text\tlabel\n"yes, sir"\tx\nno\ty\n',
]


@pytest.mark.parametrize(
    ("content", "expected"),
    [*zip(QUOTED_TSV, [['say "yes"', "no"], ["say\ttab", "no"], ["say", "no"], ["yes, sir", "no"]], strict=True)],
)
def test_quoted_tsv(tmp_path: Path, content: str, expected: list[str]) -> None:
    """A TSV that pandas or Excel wrote is unquoted as a CSV is."""
    assert table(tmp_path, "a.tsv", content).columns["text"] == expected


@pytest.mark.parametrize(
    "texts",
    [
        ['"half quoted', "it's"],
        ['"quoted" in part', "b"],
        ['"one ""twice""" and', 'a "lone" quote'],
        ['"begins', 'ends"'],
        ['"wholly"', 'in "part"'],
        ['5" disk', '"a ""b"""'],
    ],
)
def test_unquoted_tsv(tmp_path: Path, texts: list[str]) -> None:
    """In a TSV without quoting a quote is a character like any other."""
    content = "text\tlabel\n" + "".join(f"{text}\tx\n" for text in texts)
    assert table(tmp_path, "a.tsv", content).columns["text"] == texts


def test_a_tsv_that_does_not_tell(tmp_path: Path) -> None:
    """Quotes around a whole text, of which nothing else tells the meaning, are kept, and noted."""
    found = table(tmp_path, "a.tsv", 'text\tlabel\n"So true"\tx\nno\ty\n')
    assert found.columns["text"] == ['"So true"', "no"]
    assert found.notes == ["1 fields begin and end with a quote, which is taken as part of their text"]


def test_second_header(tmp_path: Path) -> None:
    """A row that repeats the header, as files put together have it, cannot be used."""
    content = "text,label\na,x\ntext,label\nb,y\nLabel,Text\nc,z\n"
    assert "line 3: holds the names of the columns, as a header does" in refusal(tmp_path, "a.csv", content)
    assert len(table(tmp_path, "a.csv", content).usable()) == 3


@pytest.mark.parametrize(
    ("encoding", "spelled"), [("utf-16", "UTF-16"), ("utf-32", "UTF-32"), ("utf-8-sig", ""), ("utf-8", "")]
)
def test_encodings(tmp_path: Path, encoding: str, spelled: str) -> None:
    """A byte order mark tells UTF-16 and UTF-32; that is noted."""
    found = table(tmp_path, "a.csv", "text,label\ncafé,x\n".encode(encoding))
    assert found.columns == {"text": ["café"], "label": ["x"]}
    assert found.notes == ([f"is read as {spelled}, as its byte order mark says"] if spelled else [])
    assert table(tmp_path, "a.jsonl", '{"text": "café"}\n'.encode(encoding)).columns == {"text": ["café"]}
    assert table(tmp_path, "a.conll", "café\tO\n".encode(encoding)).columns["tokens"] == [["café"]]


def test_other_encodings(tmp_path: Path) -> None:
    """Bytes of another encoding are told with a likely one, for data.encoding; UTF-8 is always read as such."""
    content = "text,label\nso ein Käse kostet 5 €,x\n"
    assert "line 2: not UTF-8 (byte 19 of" in refusal(tmp_path, "a.csv", content.encode("cp1252"))
    assert "data.encoding: cp1252" in refusal(tmp_path, "a.csv", content.encode("cp1252"))
    found = table(tmp_path, "a.csv", content.encode("cp1252"), encoding="cp1252")
    assert found.columns["text"] == ["so ein Käse kostet 5 €"]
    assert found.notes == []
    found = table(tmp_path, "a.csv", content.encode(), encoding="cp1252")
    assert found.columns["text"] == ["so ein Käse kostet 5 €"]
    assert found.notes == ["is read as UTF-8, which it is, and not as data.encoding: cp1252 says"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_old_line_ends(tmp_path: Path, name: str) -> None:
    """Lines may end as they did on old Macs."""
    separator = "," if name == "a.csv" else "\t"
    found = table(tmp_path, name, f"text{separator}label\ra{separator}x\rb{separator}y\r")
    assert found.columns == {"text": ["a", "b"], "label": ["x", "y"]}


def test_one_line_in_another_encoding(tmp_path: Path) -> None:
    """A file of UTF-8 with a broken line is not to be read in another encoding, which would break all others."""
    content = "text,label\ncafé été,x\nna\udcefve,y\n".encode("utf-8", "surrogateescape")
    assert "other lines are UTF-8, so correct this one" in refusal(tmp_path, "a.csv", content)


def test_single_quotes(tmp_path: Path) -> None:
    """Single quotes enclose nothing: they are kept, and noted."""
    found = table(tmp_path, "a.csv", "text,label\n'a','x'\n'b','y'\n")
    assert found.columns["label"] == ["'x'", "'y'"]
    assert "every field stands in single quotes" in found.notes[0]
