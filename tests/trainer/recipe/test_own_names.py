"""Names of extensions in a recipe: where they may stand, and what is said of those that nothing registers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.extending import work_in, write_local
from trainer.recipe.recipe import Recipe, create_recipe

CODE = "def mine(*values): return None\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which ``mine`` is a name of every kind."""
    folder = work_in(monkeypatch, tmp_path)
    kinds = ("metrics", "losses", "heads", "preprocessors", "postprocessors")
    write_local(folder, CODE, **dict.fromkeys(kinds, "mine"))
    return folder


def recipe_of(task: str = "text-classification", **sections: Any) -> Recipe:
    """With these keys; data of one file."""
    data = {"train": "rows.csv", "test": 0.2, **sections.pop("data", {})}
    return create_recipe({"task": task, "data": data, **sections}, Path.cwd(), "recipe")


def test_accepted(folder: Path) -> None:
    """Each key takes the name, and the saved recipe has it."""
    recipe = recipe_of(
        model_head={"loss": "mine", "head": "mine"},
        training={"metric_for_best_model": "mine"},
        data={"preprocess": ["mine"], "postprocess": ["mine"]},
    )
    assert (recipe.loss, recipe.metric, recipe.losses) == ("mine", "mine", ("mine",))
    mapping = recipe.to_mapping()
    assert (mapping["model_head"]["head"], mapping["data"]["preprocess"]) == ("mine", ["mine"])


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"model_head": {"loss": "focall"}}, "'focall' is none of cross-entropy, focal, .*did you mean focal"),
        ({"model_head": {"loss": "mse"}}, "'mse' is not for this task; give one of cross-entropy"),
        (
            {"training": {"metric_for_best_model": "bleu"}},
            "'bleu' is none of accuracy, macro_f1\n .*no installed package",
        ),
        ({"task": "text2text-generation", "training": {"metric_for_best_model": "mine"}}, "takes no extension there"),
        ({"task": "question-answering", "model_head": {"loss": "mine"}}, "this task takes no extension there"),
        ({"task": "question-answering", "model_head": {"head": "mine"}}, "model_head.head: belongs to task"),
        ({"model_head": {"head": "min"}}, r"heads\.min: no installed package .*did you mean mine"),
        ({"task": "token-classification", "data": {"preprocess": ["mine"]}}, "whose answers are places in the text"),
        ({"task": "feature-extraction", "data": {"postprocess": ["mine"]}}, "data.postprocess: belongs to text-class"),
        (
            {"model_head": {"loss": "mine", "class_weights": "balanced"}},
            "class_weights: belongs to a loss of Tuneship's",
        ),
        ({"model_head": {"loss": "../../evil"}}, "is not accepted"),
        (
            {"model_head": {"loss": "mine"}, "privacy": {"target_epsilon": 8.0}},
            "cannot stand beside .*nothing holds a loss of your own to single rows",
        ),
        ({"model_head": {"head": "mine"}, "privacy": {"target_epsilon": 8.0}}, "cannot stand beside .*model_head.head"),
    ],
)
def test_refused(folder: Path, sections: dict[str, Any], problem: str) -> None:
    """A name that is wrong, or stands where none can be, is told with the accepted ones."""
    task = sections.get("task", "text-classification")
    rest = {name: value for name, value in sections.items() if name != "task"}
    with pytest.raises(InputError, match=f"(?s){problem}"):
        recipe_of(task, **rest)
