"""docs/schemas/recipe.schema.json: editors accept what `load_recipe` accepts, and refuse what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml

from serving.errors import InputError
from tests.paths import ROOT
from trainer.recipe.json_schema import recipe_schema, to_json
from trainer.recipe.loader import read_mapping
from trainer.recipe.recipe import LOSSES, TaskName, load_recipe

PATH = ROOT / "docs" / "schemas" / "recipe.schema.json"
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
NAMED = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)

MINIMAL = {"task": "text-classification", "data": {"train": "a.csv", "test": 0.2}}

WRONG: dict[str, dict[str, Any]] = {
    "no task": {"data": MINIMAL["data"]},
    "an unknown task": {**MINIMAL, "task": "classification"},
    "an unknown key": {**MINIMAL, "epochs": 3},
    "an unknown key of a section": {**MINIMAL, "training": {"epochs": 3}},
    "a text for a number": {**MINIMAL, "training": {"learning_rate": "fast"}},
    "a number out of range": {**MINIMAL, "training": {"label_smoothing_factor": 1.5}},
    "a fraction for a count": {**MINIMAL, "training": {"num_train_epochs": 2.5}},
    "no test rows": {"task": "text-classification", "data": {"train": "a.csv"}},
    "a loss of another task": {**MINIMAL, "model_head": {"loss": "mse"}},
    "a metric of another task": {**MINIMAL, "training": {"metric_for_best_model": "pearson"}},
    "a few-shot regression": {**MINIMAL, "task": "regression", "few_shot": {"examples_per_label": 4}},
}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Of the schema, which is one itself."""
    jsonschema.Draft202012Validator.check_schema(recipe_schema())
    return jsonschema.Draft202012Validator(recipe_schema())


def test_the_file_is_current() -> None:
    """docs/schemas/recipe.schema.json is what the code says (make docs writes it)."""
    assert PATH.read_text() == to_json()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_is_accepted(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    """Those of recipes/."""
    assert [error.message for error in validator.iter_errors(read_mapping(path))] == []


@pytest.mark.parametrize("task", get_args(TaskName))
def test_each_tasks_losses_are_accepted(task: TaskName, validator: jsonschema.Draft202012Validator) -> None:
    """And no loss, for the task's own default."""
    for loss in (*LOSSES[task], None):
        assert validator.is_valid({**MINIMAL, "task": task, "model_head": {"loss": loss}})


@pytest.mark.parametrize("case", WRONG)
def test_wrong_recipes_are_refused_by_both(
    case: str, validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    """An editor marks what training would refuse."""
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(WRONG[case]))
    assert not validator.is_valid(WRONG[case])
    with pytest.raises(InputError):
        load_recipe(path)


def test_every_key_is_described() -> None:
    """What an editor shows beside a key; a section is described by its own first sentence, or its key by that."""
    schema = recipe_schema()
    assert [name for name, part in schema["$defs"].items() if not part.get("description")] == []
    bare = [
        f"{section}.{name}"
        for section, part in {"": schema, **schema["$defs"]}.items()
        for name, key in part["properties"].items()
        if not key.get("description") and "$ref" not in json.dumps(key) and f"``{name}``" not in part["description"]
    ]
    assert bare == []


def test_a_schema_that_a_recipe_names_is_there() -> None:
    """A first line as the quickstart's is what an editor reads; it names the file by its place beside the recipe."""
    named = [(path.parent / found).resolve() for path in RECIPES for found in NAMED.findall(path.read_text())]
    assert NAMED.search((ROOT / "recipes" / "quickstart.yaml").read_text())
    assert set(named) == {PATH}
