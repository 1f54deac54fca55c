"""What a search may change: the recipe's section, the default space, and recipes with other values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from search.tuning.space import own_values, space_of, values_of, with_values
from serving.errors import InputError
from trainer.recipe.recipe import Recipe
from trainer.recipe.search import Range, Search
from trainer.setup.training_setup import prepare_setup

MakeRecipe = Callable[..., Recipe]

SPACE = {
    "model_head.pooling": ["mean", ["mean", "max"]],
    "training.learning_rate": {"low": 1.0e-5, "high": 1.0e-3, "log": True},
    "training.label_smoothing_factor": [None, 0.1],
}


def test_the_default_space_has_the_recipes_own_values(toy: MakeRecipe, tmp_path: Path) -> None:
    """So the first trial is the recipe as it is, and the best of a search is no worse on validation."""
    recipe = toy()
    setup = prepare_setup(recipe, tmp_path)
    space = space_of(setup, recipe)
    own = own_values(setup.recipe, space)
    assert own.keys() == space.keys()
    assert own["training.label_smoothing_factor"] == 0.05
    same = prepare_setup(with_values(recipe, values_of(own)), tmp_path).recipe
    assert same.training == setup.recipe.training


def test_values_are_those_of_the_recipes_keys(toy: MakeRecipe) -> None:
    """A list is one value, null takes a key out, and defaults that follow from a key follow its new value."""
    recipe = toy(search={"space": SPACE}, training={"head_learning_rate": None})
    assert recipe.search is not None
    assert recipe.search.space is not None
    assert recipe.search.space["training.learning_rate"] == Range(low=1.0e-5, high=1.0e-3, log=True)
    changed = with_values(recipe, {"model_head.pooling": ["mean", "max"], "training.learning_rate": 1.0e-4})
    assert changed.model_head.pooling == ("mean", "max")
    assert changed.training.resolve().head_learning_rate == pytest.approx(25.0e-4)
    assert with_values(recipe, {"training.label_smoothing_factor": None}).training.label_smoothing_factor is None


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ({"training.learnin_rate": [1.0]}, "did you mean training.learning_rate"),
        ({"data.train": ["a.csv"]}, "search.space.data.train: cannot be searched"),
        ({"training.seed": [1, 1]}, r"search.space.training.seed: \(1, 1\) is not accepted; give a list of differing"),
        ({"training.learning_rate": {"low": 1.0, "high": 0.1}}, "low 1.0 is not below high 0.1"),
        ({"training.learning_rate": {"low": 0.0, "high": 0.1, "log": True}}, "has no logarithm"),
        ({"training.learning_rate": {"low": 0.1, "hi": 1.0}}, "learning_rate.high: Field required"),
    ],
    ids=["misspelt", "no setting", "twice", "upside down", "logarithm", "no end"],
)
def test_a_space_that_cannot_be_searched_is_refused_with_its_key(
    toy: MakeRecipe,
    space: dict[str, object],
    problem: str,
) -> None:
    """Before anything is trained."""
    with pytest.raises(InputError, match=problem):
        toy(search={"space": space})


def test_a_value_that_the_recipe_does_not_take_is_refused_at_once(toy: MakeRecipe, tmp_path: Path) -> None:
    """Not in the middle of a search."""
    recipe = toy(search={"space": {"training.optim": ["adamw", "adam"]}})
    with pytest.raises(InputError, match=r'search.space.training.optim: .*"adam" is not accepted; give one of'):
        space_of(prepare_setup(recipe, tmp_path), recipe)


def test_a_section_about_searches_changes_no_training() -> None:
    """It is not among what makes two runs the same."""
    from trainer.run.run import comparable

    record = {"recipe": {"task": "x", "data": {}}}
    with_search = {"recipe": {**record["recipe"], "search": Search().model_dump()}}
    assert comparable(record) == comparable(with_search)
