"""Personal data that a recipe names is in no row, no file and no token: training and serving replace it alike."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from export.bundle.card import check_card
from export.exporter import export_run
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.explain.explainer import Explainer
from serving.inference.predictor import Predictor
from serving.tasks.personal_data import VERSION
from tests.tiny import toy_rows, write_csv, write_recipe
from trainer.recipe.recipe import load_recipe
from trainer.train import train

KINDS = ["email", "phone"]


@pytest.mark.slow
def test_training_and_serving_redact_alike(tiny_backbone: Path, tmp_path: Path) -> None:
    """A bundle answers a text with an address as it answers the redacted text, says so, and holds no address."""
    recipe = write_recipe(tmp_path, tiny_backbone, data={"redact": KINDS}, training={"num_train_epochs": 2})
    rows = [(f"{text} write to user{number}@example.com", label) for number, (text, label) in enumerate(toy_rows())]
    write_csv(tmp_path / "toy.csv", rows)
    run = train(load_recipe(recipe), tmp_path / "run", console=Console(file=io.StringIO()))
    export_run(run, tmp_path / "bundle", "fp32", threads=1)

    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.manifest.settings["redact"] == KINDS
    assert "`[EMAIL]`, `[PHONE]`" in check_card(bundle)
    assert any("[EMAIL]" in row.inputs for row in bundle.golden)
    written = [path for folder in ("run", "bundle") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert not [path for path in written if re.search(rb"user\d+@", path.read_bytes())]

    assert bundle.manifest.settings["redaction"] == VERSION

    predictor = Predictor.open(tmp_path / "bundle")
    raw, redacted = predictor.predict(["where is it? a@b.de, +49 171 1234567", "where is it? [EMAIL], [PHONE]"])
    assert json.dumps(raw) == json.dumps(redacted)
    with pytest.raises(InputError, match="places would not be those of the text"):
        Explainer(predictor)


@pytest.mark.parametrize("task", ["token-classification", "question-answering", "text-generation"])
def test_tasks_with_places_refuse_redaction(task: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """Where a replaced text would move an answer's places, the recipe is refused with what to do."""
    path = write_recipe(tmp_path, tiny_backbone, data={"redact": KINDS})
    with pytest.raises(InputError, match="redact: cannot be for task"):
        load_recipe(path, [f"task={task}"])
