"""A private run from recipe to bundle, and attacks on runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from export.exporter import export_run
from serving.errors import InputError
from tests.tiny import write_csv
from tests.toys import write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, rows_of
from trainer.fit.privacy.attack_run import attack_finished_run
from trainer.fit.privacy.membership import attack_model
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.replay import replay
from trainer.run.lock import read_result
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup
from tuneship import app

SHORT = {"save_steps": 2}
PRIVACY = {"noise_multiplier": 0.05, "accountant": "rdp"}
"""So little noise that few rows are learned for sure."""


@pytest.mark.slow
def test_from_recipe_to_bundle(tiny_backbone: Path, tmp_path: Path) -> None:
    """What is spent survives a resumption, and is told wherever a reader looks; a bundle tells no more of the rows."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", training=SHORT, privacy=PRIVACY))
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "run", StopAt(5))
    run = fit(recipe, tmp_path / "run")
    record = run.read_record()
    privacy = record["privacy"]
    assert privacy["steps"] == record["forecast"]["steps"] == 36
    assert privacy["epsilon"] > 0
    assert record["machine"]["bf16"] is False
    assert read_result(run)[1].privacy == privacy
    assert record["membership"]["bound"]["auc"] > 0.99
    report = run.report.read_text(encoding="utf-8")
    assert "differentially private (DP-SGD): **ε = " in report
    assert "any attack, by ε and δ" in report

    again = load_recipe(run.recipe, [f"model={run.checkpoint}"])
    with pytest.raises(InputError, match="was trained on the same rows before"):
        fit(again, tmp_path / "again")

    repeated = replay(run.root)
    assert repeated.equal
    assert not repeated.trained
    assert "stored nowhere" in repeated.checks[-1].differences[0]

    export_run(run, tmp_path / "bundle", "int8")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    train = record["data"]["splits"]["train"]
    assert manifest["data"]["splits"]["train"] == {"source": train["source"], "rows": train["rows"], "sha256": None}
    assert manifest["data_warnings"] == []
    everything = "".join(
        path.read_text("utf-8", "ignore") for path in (tmp_path / "bundle").iterdir() if path.is_file()
    )
    assert train["sha256"] not in everything
    assert record["data"]["files"]["train"]["sha256"] not in everything
    assert '"validation_rows"' in everything
    assert "| train | 43 | withheld |" in everything
    assert "**ε = " in everything


def random_rows(seed: int, count: int) -> list[tuple[str, str]]:
    """Texts of random words, with random labels: there is nothing to learn but the rows themselves."""
    random = np.random.default_rng(seed)
    words = [f"{first}{second}" for first in "bdfgklmnprst" for second in "aeiou"]
    return [(" ".join(random.choice(words, 6)), str(random.choice(["yes", "no"]))) for _ in range(count)]


@pytest.fixture
def memorised(tiny_backbone: Path, tmp_path: Path) -> Run:
    """A run that knows random labels of its training rows by heart."""
    write_csv(tmp_path / "random.csv", random_rows(0, 160))
    training = {
        "num_train_epochs": 20, "load_best_model_at_end": False, "weight_decay": 0.0, "learning_rate": 2.0e-3,
        "label_smoothing_factor": 0.0,
    }  # fmt: skip
    path = write_toy(tmp_path, tiny_backbone, "text-classification", training=training)
    mapping = path.read_text(encoding="utf-8").replace("rows.csv", "random.csv")
    path.write_text(mapping, encoding="utf-8")
    return fit(load_recipe(path), tmp_path / "run")


@pytest.mark.slow
def test_attacks(memorised: Run) -> None:
    """Learned by heart, training rows are found; rows that were not trained on are not."""
    privacy, membership, _ = attack_finished_run(memorised.root)
    assert privacy is None
    assert "bound" not in membership
    assert membership["attacks"]["loss"]["auc_interval_95"][0] > 0.6
    assert membership["mean_losses"][0] < membership["mean_losses"][1]

    setup = prepare_setup(load_recipe(memorised.recipe), memorised.root)
    mine, others = (rows_of(*random_rows(seed, 300)) for seed in (1, 2))
    setup = replace(setup, splits=replace(setup.splits, train=mine, validation=others, test=others))
    control = attack_model(setup, load_checkpoint(memorised.checkpoint), None)
    assert 0.4 < control["attacks"]["loss"]["auc"] < 0.6

    shown = CliRunner().invoke(app, ["privacy", str(memorised.root)], env={"COLUMNS": "200"})
    assert "The model remembers its training rows" in shown.stdout
    found = CliRunner().invoke(app, ["privacy", str(memorised.root), "--json"])
    assert json.loads(found.stdout) == {"privacy": None, "membership": membership}

    write_csv(memorised.root.parent / "random.csv", random_rows(5, 160))
    with pytest.raises(InputError, match="the rows are not those that the run was trained with"):
        attack_finished_run(memorised.root)


@pytest.mark.parametrize(("section", "named"), [("few_shot", "few-shot classifier"), ("imported", "imported model")])
def test_runs_without_a_training(section: str, named: str) -> None:
    """They are refused: nobody knows what they have seen, or it is inside."""
    from types import SimpleNamespace

    from trainer.fit.privacy.membership import require_row_losses

    recipe: Any = SimpleNamespace(**{"few_shot": None, "imported": None, "loss": "cross-entropy", section: object()})
    with pytest.raises(InputError, match=named):
        require_row_losses(recipe)
