"""A base model of an untested family is converted before it is trained, so that nobody trains what cannot be served."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.rehearsal import rehearse
from serving.errors import InputError
from tests import zoo, zoo_tokenizers
from tests.toys import write_toy
from trainer.recipe.recipe import load_recipe
from trainer.train import train

REFUSED = {
    "convbert": r"padding changes its answers \(a logit by",
    "yoso": "padding changes its answers",
}


def setup_of(folder: Path, model_type: str, toy: str = "text-classification", **options: object) -> Path:
    model = zoo._make(folder / "model", model_type, zoo_tokenizers.bert(), **options)
    return write_toy(folder, model, toy)


@pytest.mark.parametrize("model_type", REFUSED)
def test_a_model_whose_answers_padding_changes(model_type: str, tmp_path: Path) -> None:
    """Refused before a run's folder exists: beside other texts it would answer otherwise."""
    recipe = load_recipe(setup_of(tmp_path, model_type))
    with pytest.raises(InputError, match=REFUSED[model_type]) as caught:
        train(recipe, tmp_path / "run", check=rehearse)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_causal_model_without_a_cache_of_keys_and_values(tmp_path: Path) -> None:
    """A state-space model cannot be served token by token."""
    recipe = load_recipe(setup_of(tmp_path, "mamba", "text-generation", head="causal"))
    with pytest.raises(InputError, match="caches more than keys and values"):
        train(recipe, tmp_path / "run", check=rehearse)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_untested_family_that_converts_is_trained(tmp_path: Path) -> None:
    """ERNIE is not in the table, and passes."""
    recipe = load_recipe(setup_of(tmp_path, "ernie"))
    assert train(recipe, tmp_path / "run", check=rehearse).checkpoint.is_dir()
