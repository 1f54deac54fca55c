"""The examples work as they are: the notebook's cells, the Flask application, the tasks of a pipeline."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from tests.paths import ROOT
from tests.tiny import toy_rows, write_csv, write_recipe

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "first-model.ipynb"
FLASK_LINES = 30


def load(path: Path) -> ModuleType:
    """A file as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_cells() -> list[str]:
    """The notebook's code, cell by cell."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does; returns the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names) if last else None


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every cell runs in order, on the real base model: it learns, proves and answers."""
    shutil.copytree(ROOT / "recipes" / "quickstart", tmp_path / "recipes" / "quickstart")
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path / "examples")
    names: dict[str, Any] = {}
    with mock.patch("export.proof.answers.hard_strings.STRINGS", 300):
        shown = [run_cell(cell, names) for cell in code_cells()]
    accuracy, rows = next(value for value in shown if isinstance(value, tuple))
    assert accuracy > 0.8
    assert rows == 150
    answers = next(value for value in shown if isinstance(value, dict) and "I was charged twice" in value)
    assert len(set(answers.values())) == 3
    printed = capsys.readouterr().out
    assert "passed - " in printed
    assert "inputs[1]" in printed


def test_the_notebook_is_stripped() -> None:
    """It holds no output and no count, so that it changes where its text changes, and shows nothing that is old."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.slow
def test_the_flask_application(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers a text and a list, and refuses with 400 what the model cannot read."""
    monkeypatch.setenv("BUNDLE", str(tiny_bundle))
    path = EXAMPLES / "flask_app.py"
    client = load(path).app.test_client()
    assert client.post("/classify", json="where is my parcel?").json[0]["label"] == "track"
    labels = [answer[0]["label"] for answer in client.post("/classify", json=["where is it?", "refund my parcel"]).json]
    assert labels == ["track", "refund"]
    refused = client.post("/classify", json=["fine", ""])
    assert (refused.status_code, refused.json["field"]) == (400, "inputs[1]")
    assert len(path.read_text().splitlines()) < FLASK_LINES


@pytest.mark.slow
def test_the_tasks_of_a_pipeline(tiny_backbone: Path, tmp_path: Path) -> None:
    """Paths go from task to task; a task that is tried again returns what it has made."""
    tasks = load(EXAMPLES / "pipeline_tasks.py")
    recipe = write_recipe(tmp_path, tiny_backbone)
    run = tasks.train(str(recipe), str(tmp_path / "run"))
    assert tasks.train(str(recipe), str(tmp_path / "run")) == run
    with mock.patch("export.proof.answers.hard_strings.STRINGS", 300):
        bundle = tasks.ship(run, str(tmp_path / "bundle"))
    texts = write_csv(tmp_path / "texts.csv", [(text,) for text, _ in toy_rows()], ["text"])
    answers = tmp_path / "answers.csv"
    assert tasks.answer(bundle, str(texts), str(answers)) == len(toy_rows())
    with answers.open(newline="", encoding="utf-8") as file:
        found = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    assert [text for text, _ in found] == [text for text, _ in toy_rows()]
    assert sum(pair in toy_rows() for pair in found) > 0.8 * len(found)
