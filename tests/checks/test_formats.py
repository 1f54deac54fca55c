"""Rows to label again, as people's tools take them: each file is read by training too, with the given labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from checks.check import Checked
from checks.relabel.formats import choose_format, write_relabel
from serving.errors import InputError
from trainer.data.readers import read_file
from trainer.recipe.recipe import create_recipe
from trainer.tasks import create_training_task

SUFFIXES = {"csv": ".csv", "label-studio": ".json", "doccano": ".jsonl", "argilla": ".json"}


def written(checked: Checked, folder: Path, kind: str) -> Path:
    path = folder / f"again{SUFFIXES[kind]}"
    write_relabel(path, checked.suggestions, kind)
    return path


def read(path: Path) -> list[tuple[str, str]]:
    """The rows, as a training reads them."""
    recipe = create_recipe({"task": "text-classification", "data": {"train": str(path), "test": 0.5}}, path.parent, "r")
    return list(create_training_task(recipe).rows(read_file(path)).pairs())


@pytest.mark.parametrize("kind", ["csv", "label-studio", "doccano"])
def test_given_labels_are_read_again(checked: Checked, tmp_path: Path, kind: str) -> None:
    """A row that nobody has touched keeps its label."""
    expected = [(each.row.inputs, each.row.target) for each in checked.suggestions]
    assert read(written(checked, tmp_path, kind)) == expected


def test_suggestions_stand_beside(checked: Checked, tmp_path: Path) -> None:
    """In a column of the table, in each tool's predictions or suggestions; with split, file and row."""
    first = checked.suggestions[0]
    with written(checked, tmp_path, "csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["suggested"], row["file"], row["row"]) == (first.suggested, first.row.file, str(first.row.number))
    task = json.loads(written(checked, tmp_path, "label-studio").read_text())[0]
    assert task["predictions"][0]["result"][0]["value"]["choices"] == [first.suggested]
    record = json.loads(written(checked, tmp_path, "argilla").read_text())[0]
    assert record["suggestions"]["label"]["value"] == first.suggested
    assert record["metadata"]["given"] == first.row.target


def test_argilla_is_read_once_people_have_answered(checked: Checked, tmp_path: Path) -> None:
    """Nested or flat records; one without a response, and one with several that differ, are told by row."""
    path = written(checked, tmp_path, "argilla")
    records = json.loads(path.read_text())[:3]
    for record in records:
        record["responses"] = {"label": [{"value": "track", "user_id": "1"}, {"value": "track", "user_id": "2"}]}
    path.write_text(json.dumps(records))
    assert [label for _, label in read(path)] == ["track"] * 3
    flat = [{"text": each["fields"]["text"], "label.responses": ["track"], "label.suggestion": "x"} for each in records]
    path.write_text(json.dumps(flat))
    assert [label for _, label in read(path)] == ["track"] * 3
    records[0]["responses"], records[1]["responses"]["label"][0]["value"] = {}, "refund"
    path.write_text(json.dumps(records))
    recipe = create_recipe({"task": "text-classification", "data": {"train": str(path), "test": 0.5}}, tmp_path, "r")
    table = read_file(path)
    assert len(create_training_task(recipe).rows(table)) == 1
    told = table.problems.message("again.json")
    assert "row 1: has no response" in told
    assert "row 2: has 2 responses that differ" in told


def test_a_format_is_chosen_by_the_ending_or_asked_for(tmp_path: Path) -> None:
    """A file whose name tells none is refused before anything is computed."""
    assert choose_format(Path("a.csv"), None) == "csv"
    assert choose_format(Path("a.json"), "argilla") == "argilla"
    with pytest.raises(InputError, match="give --output-format, one of csv, label-studio, doccano, argilla"):
        choose_format(Path("a.txt"), None)
