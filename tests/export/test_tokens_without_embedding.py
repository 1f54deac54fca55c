"""A token that was added to the tokenizer and not to the model is told of, wherever it turns up."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from export.exporter import export_run
from export.workspace import Workspace
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file
from tests.tiny import toy_rows, write_csv, write_recipe
from trainer.model.base_model import find_base_model
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup
from trainer.train import train

MESSAGE = "has the token 'covid19', for which the model has no embedding"


@pytest.fixture(scope="module")
def grown(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model with a tokenizer of one token more."""
    import shutil

    from transformers import AutoTokenizer

    folder = Path(shutil.copytree(tiny_backbone, tmp_path_factory.mktemp("grown") / "model"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["covid19"])
    tokenizer.save_pretrained(folder)
    assert len(tokenizer) == find_base_model(str(folder)).config.vocab_size + 1
    return folder


def test_in_a_training_row(grown: Path, tmp_path: Path) -> None:
    """The message names the file and the row."""
    recipe = write_recipe(tmp_path, grown)
    write_csv(tmp_path / "toy.csv", [*toy_rows(), ("news of covid19", "track")])
    with pytest.raises(InputError, match=rf"toy\.csv .*, row 73: inputs {MESSAGE}\ncorrect these rows, or leave them"):
        prepare_setup(load_recipe(recipe), tmp_path / "run")


@pytest.mark.slow
def test_such_a_training_row_is_left_out(grown: Path, tmp_path: Path) -> None:
    """Where the recipe says so, the run goes on without the row, its report lists it, and an export finds its rows."""
    recipe = write_recipe(tmp_path, grown, training={"num_train_epochs": 1}, data={"unusable_rows": "skip"})
    write_csv(tmp_path / "toy.csv", [("news of covid19", "track"), *toy_rows(), ("", "track")])
    run = train(load_recipe(recipe), tmp_path / "run", console=Console(file=io.StringIO()))
    record = run.read_record()
    assert [entry["rows"] for entry in record["data"]["unusable_rows"]] == [[1], [74]]
    assert "toy.csv: 2 rows cannot be used and are left out" in record["warnings"]
    assert "| `toy.csv` | text is empty | 1: 74 |" in run.report.read_text()
    with Workspace.open(run, 1) as workspace:
        assert sum(len(rows) for _, rows in workspace.splits.by_name()) == 72


@pytest.mark.slow
def test_in_a_request(grown: Path, tmp_path: Path) -> None:
    """Such a text is refused, alone or beside others; a line of a file has its error, and no other line is lost."""
    recipe = load_recipe(write_recipe(tmp_path, grown, training={"num_train_epochs": 1}))
    run = train(recipe, tmp_path / "run", console=Console(file=io.StringIO()))
    warning = "the model has no embedding for 1 tokens of its tokenizer, and refuses texts with them: 'covid19'"
    assert warning in run.read_record()["warnings"]
    predictor = Predictor.open(export_run(run, tmp_path / "bundle").bundle)

    with pytest.raises(InputError, match=rf"inputs\[1\] {MESSAGE}"):
        predictor.predict(["where is my parcel?", "news of covid19"])
    with pytest.raises(InputError, match=rf"inputs\[1\] {MESSAGE}"):
        predictor.encode(["where is my parcel?", "news of covid19"])  # as a server does
    lines = [json.dumps({"inputs": text}) for text in ("where is it?", "news of covid19", "stop it")]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    tally = predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    answered = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [sorted(line) for line in answered] == [["inputs", "outputs"], ["error", "inputs"], ["inputs", "outputs"]]
    assert (tally.answered, answered[1]["error"]) == (2, f"row 2: inputs {MESSAGE}")
