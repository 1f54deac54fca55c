"""CSV, Parquet and JSON lines, each in and out: a row keeps its columns, and each row is answered once, in order."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.rows import ROWS_AT_ONCE
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file

COUNT = 2 * ROWS_AT_ONCE + 7


def write(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    """Rows in the form of a file's name."""
    if ".parquet" in path.name:
        pq.write_table(pa.Table.from_pylist(rows), path, **options)
        return path
    text = io.StringIO(newline="")
    if ".csv" in path.name:
        writer = csv.DictWriter(text, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Its rows; in CSV, answers are JSON."""
    if ".parquet" in path.name:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    if ".csv" in path.name:
        found = [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        return [{**row, "outputs": json.loads(row["outputs"]) if row["outputs"] else None} for row in found]
    return [json.loads(line) for line in text.split("\n")[:-1]]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["in.jsonl", "in.jsonl.gz", "in.csv", "in.csv.gz", "in.parquet"])
@pytest.mark.parametrize("target", ["out.jsonl", "out.jsonl.gz", "out.csv", "out.csv.gz", "out.parquet"])
def test_every_pair(predictor: Predictor, tmp_path: Path, source: str, target: str) -> None:
    """Any form becomes any other, also over the ends of parts; the refused row keeps its columns and says why."""
    texts = [f"where is\norder, {number}?" for number in range(COUNT)]
    texts[1300] = ""
    rows = [{"id": number, "text": text, "note": 'a "b"'} for number, text in enumerate(texts)]
    write(tmp_path / source, rows)
    tally = predict_file(
        predictor, tmp_path / source, tmp_path / target, text_columns=("text",), rows_per_part=ROWS_AT_ONCE + 100
    )
    found = read(tmp_path / target)
    assert (tally.answered, tally.refused) == (COUNT - 1, 1)
    assert [int(row["id"]) for row in found] == [*range(COUNT)]
    assert [row["text"] for row in found] == texts
    assert {row["note"] for row in found} == {'a "b"'}
    answered = [row for number, row in enumerate(found) if number != 1300]
    best = predictor.predict([row["text"] for row in answered[:50]])
    assert [row["outputs"][0]["label"] for row in answered[:50]] == [each[0]["label"] for each in best]
    assert all(row["outputs"] and not row.get("error") for row in answered)
    number = 1302 if "csv" in source else 1301  # the header is a row
    assert found[1300]["error"].startswith(f"row {number}: inputs is empty")
    assert not found[1300].get("outputs")
    assert {path.name for path in tmp_path.iterdir()} == {source, target}


def test_line_of_csv(predictor: Predictor, tmp_path: Path) -> None:
    """CSV's answer is JSON in a column; columns keep their order."""
    (tmp_path / "in.csv").write_text("id,inputs\n7,track it\n")
    predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.csv")
    header, row = csv.reader((tmp_path / "out.csv").open(newline=""))
    assert header == ["id", "inputs", "outputs", "truncated", "error"]
    assert row[:2] == ["7", "track it"]
    assert json.loads(row[2]) == predictor.predict(["track it"])[0]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"id,text\n7,track it\n", ["id", "text"]),
        (b"\xef\xbb\xbftext;label\r\ntrack it;x\r\n", ["text", "label"]),
        (b"label\ttext\nx\ttrack it\n", ["label", "text"]),
        (b"prompt|id\ntrack it|7", ["prompt", "id"]),
        (b'"inputs"\n"track it"\n\n\n', ["inputs"]),
    ],
)
def test_headers(predictor: Predictor, tmp_path: Path, content: bytes, names: list[str]) -> None:
    """The header tells the separator, and which column is the text."""
    (tmp_path / "in.csv").write_bytes(content)
    predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.jsonl")
    (row,) = read(tmp_path / "out.jsonl")
    assert list(row) == [*names, "outputs"]
    assert row["outputs"] == predictor.predict(["track it"])[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"body,id\nx,1\n",
            "no column of inputs; accepted are inputs; question and context; .*columns there: body, id",
        ),
        (b"text,text\nx,1\n", "no names of columns, or one twice"),
        (b"text,\nx,1\n", "no names of columns, or one twice"),
        ("text\nx\n".encode("utf-16"), "is UTF-16; --input takes UTF-8"),
    ],
)
def test_refused_headers(predictor: Predictor, tmp_path: Path, content: bytes, message: str) -> None:
    """A table without a column of inputs is refused at once, and nothing is written."""
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv"}


def test_bad_rows_of_csv(predictor: Predictor, tmp_path: Path) -> None:
    """A row of another width, or not in UTF-8, is refused by its number; the others are answered."""
    (tmp_path / "in.csv").write_bytes(b'inputs,id\nstop,1\nstop\nsto\xe9p,3\n"two\nlines",4\nstop,5,6\n')
    tally = predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.jsonl")
    errors = [row.get("error") for row in read(tmp_path / "out.jsonl")]
    assert (tally.answered, tally.refused) == (2, 3)
    expected = [
        None,
        "row 3: 1 fields; the header has 2",
        "row 4: not UTF-8",
        None,
        "row 6: 3 fields; the header has 2",
    ]
    assert errors == expected


def test_types_stay(predictor: Predictor, tmp_path: Path) -> None:
    """Parquet's columns keep their types, nanoseconds included; answers have types of their own."""
    day = datetime.datetime(2026, 1, 31, 12, 30)
    columns = {
        "text": pa.array(["stop", None, "track it"]).dictionary_encode(),
        "at": pa.array([1_000_000_001, 2, 3], pa.timestamp("ns", "UTC")),
        "price": pa.array([decimal.Decimal("1.20")] * 3),
        "raw": pa.array([b"\xff\x00"] * 3),
        "tags": pa.array([["a"], [], None]),
        "day": pa.array([day] * 3),
        "error": pa.array(["old"] * 3),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    predict_file(predictor, tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    kept = [name for name in columns if name != "error"]
    assert found.select(kept).equals(pa.table({name: columns[name] for name in kept}))
    score = pa.struct([("label", pa.string()), ("score", pa.float64())])
    assert found.schema.field("outputs").type == pa.list_(score)
    assert found["outputs"].to_pylist()[2] == predictor.predict(["track it"])[0]
    assert found["error"].to_pylist() == [None, "row 2: inputs must be a text, found null", None]
    predict_file(predictor, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    first = read(tmp_path / "out.jsonl")[0]
    assert (first["at"], first["price"], first["raw"]) == ("1970-01-01 00:00:01.000000001Z", "1.20", "/wA=")


@pytest.mark.slow
def test_row_groups(predictor: Predictor, tmp_path: Path) -> None:
    """Parts and row groups end at different rows, and no row is lost or twice."""
    rows = [{"inputs": f"text {number}", "id": number} for number in range(200)]
    for size in (7, 30, 200):
        write(tmp_path / "in.parquet", rows, row_group_size=size)
        for part in (9, 70):
            predict_file(predictor, tmp_path / "in.parquet", tmp_path / "out.parquet", rows_per_part=part)
            assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [*range(200)]


def test_kinds_of_json_columns(predictor: Predictor, tmp_path: Path) -> None:
    """JSON lines' values become typed columns, those of several kinds a column of JSON."""
    lines = [
        {"inputs": "stop", "n": 1, "x": 1, "b": True, "m": 1},
        {"inputs": "stop", "n": None, "x": 0.5, "m": {"a": "é"}},
        {"inputs": "stop", "late": "there"},
    ]
    write(tmp_path / "in.jsonl", lines)
    predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").drop_columns(["outputs", "truncated", "error"])
    assert [str(each.type) for each in table.schema] == ["string", "int64", "double", "bool", "string", "string"]
    assert table.to_pydict()["m"] == ["1", '{"a": "é"}', None]
    assert table.to_pydict()["late"] == [None, None, "there"]


def test_unlike_tables(predictor: Predictor, tmp_path: Path) -> None:
    """Parquet of several schemas is refused as one table, and told which column differs."""
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.parquet", [{"inputs": "stop", "id": 1}])
    write(tmp_path / "in" / "b.parquet", [{"inputs": "stop", "id": "one"}])
    with pytest.raises(InputError, match=r"b\.parquet: its columns id are not those of .*a\.parquet"):
        predict_file(predictor, tmp_path / "in", tmp_path / "out.parquet")
    assert predict_file(predictor, tmp_path / "in", tmp_path / "out.jsonl").answered == 2


@pytest.mark.parametrize("name", ["in.parquet", "in.jsonl.gz", "in.csv.gz"])
def test_broken_files(predictor: Predictor, tmp_path: Path, name: str) -> None:
    """A file that is cut off is named."""
    rows = [{"inputs": f"text {number * 7919}"} for number in range(500)]
    content = write(tmp_path / name, rows).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"{name} (is not Parquet|cannot be unpacked)"):
        predict_file(predictor, tmp_path / name, tmp_path / "out.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_pairs(predictor: Predictor, tmp_path: Path) -> None:
    """Two columns are a pair, whatever they are called: here the task takes one text and says so."""
    (tmp_path / "in.csv").write_text("a,b\nstop,it\n")
    predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.jsonl", text_columns=("a", "b"))
    assert "inputs must be a text, found an object" in read(tmp_path / "out.jsonl")[0]["error"]
