"""What a recipe sets acts, or is refused; what acts by default is in the resolved recipe."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from serving.errors import InputError
from serving.tasks import TASKS
from tests.tiny import write_recipe
from tests.tiny_generators import make_gpt2
from tests.toys import write_toy
from tests.trainer.conftest import fit, training_task, weights
from trainer.metrics import changes
from trainer.recipe.applicability import OPTIONS, SECTIONS, acts
from trainer.recipe.recipe import Recipe, TaskName, load_recipe
from trainer.replay import replay
from trainer.run.lock import read_lock, require_locked
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup

MINIMAL: dict[str, Any] = {"task": "text-classification", "data": {"train": "a.csv", "test": 0.2}}
TASK_NAMES: tuple[TaskName, ...] = get_args(TaskName)


def load(folder: Path, *changes: str, **sections: Any) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | sections), encoding="utf-8")
    return load_recipe(path, changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["training.momentum=0.9"], "training.momentum: belongs to training.optim: sgd, and does nothing under"),
        (["model_head.focal_gamma=2.0"], "model_head.focal_gamma: belongs to model_head.loss: focal"),
        (["model_head.loss=focal", "training.label_smoothing_factor=0.1"], "does nothing under model_head.loss: focal"),
        (["task=regression", "model_head.class_weights=balanced"], "does nothing under task: regression; leave it out"),
        (["task=question-answering", "model_head.pooling=cls"], "does nothing under task: question-answering"),
        (["task=token-classification", "model_head.pooling=cls"], "model_head.pooling: belongs to"),
        (["task=text-generation", "training.head_learning_rate=1.0"], "does nothing under task: text-generation"),
        (["data.stride=8"], "belongs to task: token-classification or question-answering, or to data.long_text: windows"
         ", and does nothing under data.long_text: truncate"),
        (["task=token-classification", "data.long_text=windows"], "does nothing under task: token-classification"),
        (["data.text_pair=b", "data.long_text=windows"], "data.long_text: belongs to single texts, and does nothing"),
        (["data.max_windows=4", "data.window_aggregation=max"], "belong to data.long_text: windows, and do nothing"),
        (["data.max_new_tokens=8", "data.prefix=x"], "data.prefix, data.max_new_tokens: belong to task: text2text"),
        (["data.test=b.csv", "data.validation=c.csv", "data.split_seed=1"], "does nothing where both are files"),
        (["training.trainable=lora", "training.freeze_embeddings=true"], "belongs to training.trainable: all"),
        (["training.lora.r=4"], "training.lora: belongs to training.trainable: lora, and does nothing under"),
        (["few_shot.examples_per_label=5", "training.warmup_ratio=0.1"], "does nothing beside few_shot; leave it out"),
        (["export.min_cosine=0.9"], "export.min_cosine: belongs to task: feature-extraction"),
        (["model_head.layers=2", "task=feature-extraction"], "model_head.layers: belongs to task: text-classification"),
    ],
)  # fmt: skip
def test_what_cannot_act_is_refused(tmp_path: Path, changes: list[str], said: str) -> None:
    """The message names the option, what it belongs to and what the recipe has instead."""
    with pytest.raises(InputError, match=re.escape(said)):
        load(tmp_path, *changes)


def test_what_claims_nothing_is_accepted(tmp_path: Path) -> None:
    """Null, and what is off by default, are as if left out."""
    off = ["model_head.class_weights=null", "data.prefix=''", "training.momentum=0.0", "training.lora=null"]
    assert load(tmp_path, *off, "task=regression", "training.label_smoothing_factor=0.0").task == "regression"


def test_every_reason_is_told_at_once(tmp_path: Path) -> None:
    """Options that do nothing for one reason share a line."""
    with pytest.raises(InputError, match=r"2 problems in the recipe") as caught:
        load(tmp_path, "data.max_new_tokens=8", "data.prefix=x", "data.stride=4")
    assert "data.prefix, data.max_new_tokens: belong to" in str(caught.value)


def test_every_line_is_about_an_option() -> None:
    """An option that is renamed takes its conditions along."""
    recipe = Recipe.model_validate(MINIMAL | {"distil": {"teacher": "a run"}, "privacy": {}})
    sections = {name: type(value).model_fields for name, value in recipe if hasattr(type(value), "model_fields")}
    unknown = [option for option in OPTIONS if option.partition(".")[2] not in sections[option.partition(".")[0]]]
    assert not unknown
    assert SECTIONS.keys() <= sections.keys()


@pytest.mark.parametrize("task", TASK_NAMES)
def test_gates_are_those_that_a_proof_checks(task: TaskName) -> None:
    """What bounds the task's own units of change, and no other unit."""
    found = training_task(task)
    units = [unit for unit in vars(changes).values() if isinstance(unit, changes.Unit)]
    named = set(type(found).changes.__code__.co_names)
    helpers = {"vector_changes": {"COSINE", "LENGTH"}}
    used = {name for each in named for name in helpers.get(each, {each})}
    own = [unit for unit in units if any(getattr(changes, name, None) is unit for name in used)]
    assert own
    for unit in units:
        for key in filter(None, (unit.largest, unit.mean)):
            assert acts(found.recipe, f"export.{key}") == (unit in own), key
    assert acts(found.recipe, "export.min_agreement") == TASKS[task].decides
    assert acts(found.recipe, "export.max_ece_change") == ("confidences" in vars(type(found)))


@pytest.mark.parametrize("toy", ["text-classification", "regression", "question-answering", "token-classification"])
def test_a_resolved_recipe_has_every_default_that_acts(tiny_backbone: Path, tmp_path: Path, toy: str) -> None:
    """What is null in it is switched off, or found out from the rows; it loads again to the same."""
    recipe = write_toy(tmp_path, tiny_backbone, toy, data={"stride": None}, training={"head_learning_rate": None})
    resolved = prepare_setup(load_recipe(recipe), tmp_path).recipe
    (tmp_path / "saved").mkdir()
    resolved.save(tmp_path / "saved" / "recipe.yaml")
    mapping = yaml.safe_load((tmp_path / "saved" / "recipe.yaml").read_text())
    again = prepare_setup(load_recipe(tmp_path / "saved" / "recipe.yaml"), tmp_path / "saved").recipe
    assert again.to_mapping(tmp_path) == resolved.to_mapping(tmp_path)
    expected = {
        "text-classification": [("model_head", "loss", "cross-entropy"), ("training", "label_smoothing_factor", 0.05),
                                ("training", "head_learning_rate", 0.125), ("model_head", "pooling", "mean"),
                                ("training", "metric_for_best_model", "accuracy"), ("data", "max_length", 64)],
        "regression": [("model_head", "loss", "mse"), ("model_head", "interval_coverage", 0.9)],
        "question-answering": [("data", "stride", 13), ("training", "metric_for_best_model", "f1")],
        "token-classification": [("data", "stride", 16), ("training", "label_smoothing_factor", 0.0)],
    }  # fmt: skip
    assert [(section, name, mapping[section].get(name)) for section, name, _ in expected[toy]] == expected[toy]
    assert "focal_gamma" not in mapping["model_head"]


def as_written_before(recipe: dict[str, Any]) -> dict[str, Any]:
    """As earlier versions wrote it: options that do nothing, and no default of another option."""
    old = json.loads(json.dumps(recipe))
    old["model_head"] |= {"focal_gamma": 2.0}
    del old["model_head"]["loss"], old["training"]["label_smoothing_factor"], old["training"]["metric_for_best_model"]
    old["training"] |= {"momentum": 0.0, "freeze_embeddings": False}
    old["data"] |= {"word_separator": " ", "prefix": "", "max_new_tokens": 64}
    old["export"] |= {"min_cosine": 0.8}
    return old


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_repeated(tiny_backbone: Path, tmp_path: Path) -> None:
    """Its recipe and lock have options that do nothing, and lack defaults that act."""
    run = fit(load_recipe(write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 1})), tmp_path / "run")
    lock = read_lock(run)
    lock.model_copy(update={"recipe": as_written_before(lock.recipe)}).write(run)
    run.recipe.write_text(yaml.safe_dump(as_written_before(yaml.safe_load(run.recipe.read_text()))))
    require_locked(run)
    found = replay(run.root, tmp_path / "again")
    assert found.equal, found.checks
    assert weights(Run.open(tmp_path / "again")) == weights(run)


def test_the_options_of_a_saved_recipe_are_strict_where_it_is_changed(tiny_run: Run) -> None:
    """What is set beside it is the user's own."""
    with pytest.raises(InputError, match=r"model_head\.focal_gamma: belongs to model_head\.loss: focal"):
        load_recipe(tiny_run.recipe, ["model_head.focal_gamma=3.0"])


def test_a_generator_has_no_head(tmp_path: Path) -> None:
    """Its resolved recipe has no rate of one."""
    recipe = load_recipe(write_toy(tmp_path, make_gpt2(tmp_path / "gpt2"), "text-generation"))
    mapping = prepare_setup(recipe, tmp_path).recipe.to_mapping(tmp_path)
    assert "head_learning_rate" not in mapping["training"]
    assert "pooling" not in mapping["model_head"]
