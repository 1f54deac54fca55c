"""A training in a program: by a file, a mapping or a recipe, with the same run as the command line leaves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.errors import InputError
from tests.tiny import write_recipe
from trainer import fine_tune
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run

SHORT = {"training.num_train_epochs": 1}


@pytest.fixture
def recipe(tiny_backbone: Path, tmp_path: Path) -> Path:
    """The toy recipe as a file."""
    return write_recipe(tmp_path, tiny_backbone)


def mapping_of(recipe: Path) -> dict[str, Any]:
    """The file's keys, with the paths of its folder as a program has them."""
    mapping = yaml.safe_load(recipe.read_text())
    mapping["data"]["train"] = recipe.parent / mapping["data"]["train"]
    return dict(mapping)


@pytest.mark.slow
def test_a_file_a_mapping_and_a_recipe_are_one_run(recipe: Path, tmp_path: Path) -> None:
    """Each of the three names the same training: the second and third find it finished, and return it."""
    output = tmp_path / "run"
    run = fine_tune(str(recipe), str(output), overrides=SHORT, quiet=True)
    assert run.status() == "finished"
    assert 0 <= run.metrics["accuracy"] <= 1
    assert repr(run) == f"<Run {output}: finished>"
    weights = run.checkpoint / "model.safetensors"
    written = weights.stat().st_mtime_ns
    mapping = mapping_of(recipe)
    mapping["training"]["num_train_epochs"] = 1
    fine_tune(mapping, output, quiet=True)
    fine_tune(load_recipe(recipe), output, overrides=["training.num_train_epochs=1"], quiet=True)
    assert weights.stat().st_mtime_ns == written
    assert Run.open(output).metrics == run.metrics


@pytest.mark.slow
def test_quiet_is_silent(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet training writes nothing to the terminal; another one tells its steps."""
    fine_tune(recipe, tmp_path / "quiet", overrides=SHORT, quiet=True)
    assert capsys.readouterr().out == ""
    fine_tune(recipe, tmp_path / "told", overrides=SHORT)
    assert "accuracy" in capsys.readouterr().out


def test_mistakes_are_told_as_on_the_command_line(recipe: Path, tmp_path: Path) -> None:
    """A wrong key, a wrong override and a value that no file can hold are InputErrors; nothing is written."""
    output = tmp_path / "run"
    mapping = mapping_of(recipe)
    with pytest.raises(InputError, match=r"the recipe: training\.epochs: unknown key"):
        fine_tune(mapping, output, overrides={"training.epochs": 1})
    with pytest.raises(InputError, match="the recipe: task: missing"):
        fine_tune({"data": mapping["data"]}, output)
    with pytest.raises(InputError, match="finite numbers"):
        fine_tune(mapping, output, overrides={"training.learning_rate": math.inf})
    with pytest.raises(InputError, match=r"the recipe: .*give text"):
        fine_tune({**mapping, "task": object()}, output)
    with pytest.raises(InputError, match="there is no such recipe"):
        fine_tune(tmp_path / "missing.yaml", output)
    assert not output.exists()


@pytest.mark.slow
def test_a_check_stops_before_anything_is_written(recipe: Path, tmp_path: Path) -> None:
    """The caller's own check sees the setup, and its InputError is the caller's."""

    def refuse(setup: Any) -> None:
        raise InputError(f"{len(setup.splits.labels)} labels are too few")

    with pytest.raises(InputError, match="3 labels are too few"):
        fine_tune(recipe, tmp_path / "run", check=refuse, quiet=True)
    assert not (tmp_path / "run" / "run.json").exists()
