"""Folders, patterns and URLs of rows; a file of answers, or a folder of parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file
from tests.stores.conftest import memory, s3, s3_server  # noqa: F401 - fixtures
from tests.test_cli import assert_refused, tuneship_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of rows, and some that are none."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, ids in {"b.jsonl": (2, 3), "a.csv": (1,), "deep/c.jsonl": (4, 5)}.items():
        path = tmp_path / "in" / name
        if path.suffix == ".csv":
            path.write_text("id,text\n" + "".join(f"{each},order {each}\n" for each in ids))
        else:
            path.write_text("".join(json.dumps({"id": each, "inputs": f"order {each}"}) + "\n" for each in ids))
    for name in ("_SUCCESS", ".hidden.jsonl"):
        (tmp_path / "in" / name).write_text("no row")
    return tmp_path / "in"


def ids(path: Path) -> list[int]:
    return [int(json.loads(line)["id"]) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("place", "expected"), [("", [1, 2, 3, 4, 5]), ("*.jsonl", [2, 3]), ("**/*.jsonl", [2, 3, 4, 5]), ("[a]*", [1])]
)
def test_folders_and_patterns(
    predictor: Predictor, folder: Path, tmp_path: Path, place: str, expected: list[int]
) -> None:
    """Files are read by name, a folder's also below it, whatever their forms."""
    predict_file(predictor, folder / place, tmp_path / "out.jsonl")
    assert ids(tmp_path / "out.jsonl") == expected


def test_refusals_name_the_file(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    """Of several, a refused row says which one it is in."""
    (folder / "b.jsonl").write_text('{"id": 2, "inputs": ""}\n')
    tally = predict_file(predictor, folder, tmp_path / "out.jsonl")
    assert tally.first_refusal.startswith("b.jsonl, row 1: inputs is empty")


def test_parts(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    """A folder has numbered parts in the order of the rows, what is in them, and a mark at the end."""
    target = tmp_path / "out"
    tally = predict_file(predictor, folder / "*.jsonl", f"{target}/", rows_per_part=1, output_format="csv")
    names = sorted(path.name for path in target.iterdir())
    assert names == ["_SUCCESS", "_manifest.json", "part-00000.csv", "part-00001.csv"]
    manifest = json.loads((target / "_manifest.json").read_text())
    assert [part["answered"] for part in manifest["parts"]] == [1, 1]
    assert all((target / name).read_text().startswith("id,inputs,outputs,truncated,error\n") for name in names[2:])
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    again = predict_file(predictor, folder / "*.jsonl", f"{target}/", rows_per_part=1, output_format="csv")
    assert again == tally
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before, "what is complete is left alone"
    with pytest.raises(InputError, match=r"holds answers of another command: .*a\.csv is among the inputs of one"):
        predict_file(predictor, folder, target, rows_per_part=1, output_format="csv")


def test_foreign_folder(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    """A folder with other files is not written into, nor emptied by --restart."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("!")
    for restart in (False, True):
        with pytest.raises(InputError, match="holds other files; choose another --output"):
            predict_file(predictor, folder, tmp_path / "mine", restart=restart)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("memory")
def test_memory(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    """Any file system of fsspec's, from there and to there."""
    predict_file(predictor, folder, "memory://bucket/all.jsonl")
    predict_file(predictor, "memory://bucket/*.jsonl", tmp_path / "out.jsonl")
    assert ids(tmp_path / "out.jsonl") == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match=r"there is no file memory://nowhere/\*"):
        predict_file(predictor, "memory://nowhere/*", tmp_path / "out.jsonl")


@pytest.mark.slow
def test_s3(predictor: Predictor, folder: Path, tmp_path: Path, s3: str) -> None:  # noqa: F811 - the fixture
    """Parquet from a bucket to parts in a bucket, and those as one file here."""
    predict_file(predictor, folder / "*.jsonl", f"{s3}/rows/in.parquet")
    tally = predict_file(predictor, f"{s3}/rows/*.parquet", f"{s3}/answers/", rows_per_part=1)
    assert (tally.answered, tally.refused) == (2, 0)
    assert predict_file(predictor, f"{s3}/rows/*.parquet", f"{s3}/answers/", rows_per_part=1) == tally
    predict_file(predictor, f"{s3}/answers", tmp_path / "out.jsonl")
    assert ids(tmp_path / "out.jsonl") == [2, 3]


def test_tables_of_the_trainer(tiny_bundle: Path, tmp_path: Path) -> None:
    """Where the trainer is installed, so are its other forms."""
    (tmp_path / "in.json").write_text('[{"text": "track it", "id": 7}, {"text": "stop it", "id": 8}]')
    result = tuneship_here("predict", tiny_bundle, "-i", tmp_path / "in.json", "-o", tmp_path / "out.jsonl")
    assert (result.returncode, ids(tmp_path / "out.jsonl")) == (0, [7, 8])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "{tmp}/out.csv", "--output-format", "jsonl"), "is named for csv, and --output-format is jsonl"),
        (("-o", "{tmp}/out/", "--output-format", "xlsx"), "accepted are jsonl, csv, parquet"),
        (("-o", "{tmp}/out/", "--engine", "spark"), "--engine spark: accepted are process and ray"),
        (("-o", "{tmp}/out.jsonl", "--engine", "ray"), "--engine ray writes parts; give a folder"),
    ],
)
def test_refused_options(tiny_bundle: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """What does not fit together is told with what is accepted."""
    (tmp_path / "in.jsonl").write_text('{"inputs": "stop"}\n')
    formatted = [each.format(tmp=tmp_path) for each in arguments]
    assert_refused(tuneship_here("predict", tiny_bundle, "-i", tmp_path / "in.jsonl", *formatted), words)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
