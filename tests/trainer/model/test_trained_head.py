"""A classifier that is fine-tuned again: its head goes on where labels agree, and what does not is told."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from serving.errors import InputError
from serving.tasks.base import Task
from serving.tasks.question_answering import QuestionAnswering, QuestionAnsweringSettings
from serving.tasks.regression import Regression, RegressionSettings
from tests.tiny import toy_rows, write_csv
from tests.trained_elsewhere import make_checkpoint
from tests.trainer.conftest import MakeRecipe, fit
from tests.trainer.model.test_elsewhere import LIMITS, NUMBER, SEVERAL, TAGS, THREE, saved
from tests.zoo import FAMILIES
from trainer.imports.transformers_model import original_logits
from trainer.model.architecture import LIBRARY
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import ModelSpec, build_model, load_checkpoint
from trainer.model.heads import Head, Model
from trainer.model.trained_head import Carried, TrainedHead, carry_head, plan_head, read_trained_head
from trainer.recipe.recipe import Recipe
from trainer.replay import replay
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup

BATCH = {"input_ids": torch.tensor([[2, 9, 8, 7, 3]]), "attention_mask": torch.ones(1, 5, dtype=torch.long)}
ANSWER = QuestionAnswering([], QuestionAnsweringSettings(), LIMITS)
HEADS: dict[str, Head] = {THREE.name: "sequence", TAGS.name: "token", ANSWER.name: "span"}
SPECS = [ModelSpec("sequence", "cls", 3), ModelSpec("sequence", "mean", 3, layers=2), ModelSpec("token", "cls", 3)]


def again(folder: Path, spec: ModelSpec, task: Task) -> tuple[Model, Carried]:
    """A model to train from a folder that has a head."""
    base = find_base_model(str(folder))
    head = read_trained_head(base)
    assert head
    carried = plan_head(head, spec, task)
    model = build_model(base, spec, task.labels).eval()
    carry_head(model, task, base, head, carried)
    return model, carried


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(**BATCH)["logits"]
    return found


def relabelled(task: Task, labels: list[str]) -> Task:
    return type(task)(labels, task.settings, LIMITS)


@pytest.mark.parametrize("spec", SPECS, ids=["library", "own", "tokens"])
def test_the_same_labels(tiny_backbone: Path, tmp_path: Path, spec: ModelSpec) -> None:
    """The model begins where the first ended; in another order its logits move with their labels."""
    task = TAGS if spec.head == "token" else THREE
    before = logits(saved(tiny_backbone, tmp_path / "run", task, spec).model)
    model, carried = again(tmp_path / "run", spec, task)
    assert torch.equal(logits(model), before)
    assert carried == Carried([0, 1, 2], "the base model's head goes on")
    turned, _ = again(tmp_path / "run", spec, relabelled(task, task.labels[::-1]))
    assert torch.allclose(logits(turned), before.flip(-1))


def test_other_labels(tiny_backbone: Path, tmp_path: Path) -> None:
    """A new label has a fresh row, one that is gone none; both are told."""
    before = logits(saved(tiny_backbone, tmp_path / "run", THREE, SPECS[1]).model)
    model, carried = again(tmp_path / "run", SPECS[1], relabelled(THREE, ["maybe", "yes", "no"]))
    assert torch.allclose(logits(model)[:, 1:], before[:, [1, 0]])
    assert not torch.allclose(logits(model)[:, 0], before[:, 2])
    assert carried.text == "the base model's head goes on for 'yes', 'no'; fresh: 'maybe'; left out: 'perhaps'"
    assert carried.partly


@pytest.mark.parametrize(
    ("spec", "task", "reason"),
    [
        (SPECS[1], relabelled(THREE, ["x", "y", "z"]), "its labels are 'no', 'yes', 'perhaps', and those of the rows"),
        (SPECS[0], THREE, "it reads pooling mean, and the recipe has cls"),
        (
            ModelSpec("sequence", "last", 3, layers=2),
            THREE,
            "it was trained with pooling mean, and the recipe has last",
        ),
        (SPECS[2], TAGS, "it is for logits per sequence, and the task needs them per token"),
        (ModelSpec("sequence", "mean", 1, layers=2), NUMBER, "its labels are 'no', 'yes', 'perhaps', and those of the"),
        (ModelSpec("sequence", "mean", 2, layers=2), SEVERAL, "and those of the rows 'a', 'b'"),
    ],
)
def test_a_fresh_head(tiny_backbone: Path, tmp_path: Path, spec: ModelSpec, task: Task, reason: str) -> None:
    """Where nothing agrees, it is told why."""
    saved(tiny_backbone, tmp_path / "run", THREE, SPECS[1])
    carried = again(tmp_path / "run", spec, task)[1]
    assert carried.text.startswith("the base model's head is left out, and a fresh one is trained: ")
    assert reason in carried.text
    assert carried.partly


@pytest.mark.parametrize("spec", [ModelSpec("sequence", "cls", 1), ModelSpec("sequence", "mean", 1)])
def test_numbers(tiny_backbone: Path, tmp_path: Path, spec: ModelSpec) -> None:
    """A regression goes on in the unit of the new rows."""
    before = logits(saved(tiny_backbone, tmp_path / "run", NUMBER, spec).model)
    rows = Regression(["cost"], RegressionSettings(mean=900.0, std=50.0), LIMITS)
    model, _ = again(tmp_path / "run", spec, rows)
    assert torch.allclose(logits(model) * 50 + 900, before * 25 + 1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task"),
    [
        *((family, THREE) for family in ("RoBERTa", "GPT-2", "BART", "XLNet")),
        *((family, TAGS) for family in ("Llama", "T5", "XLNet")),
        *((family, ANSWER) for family in ("GPT-2", "BART")),
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_heads_of_transformers(tmp_path: Path, family: str, task: Task) -> None:
    """A folder that transformers saved begins as it is, also where its head becomes one of this project's."""
    kind: Head = HEADS[task.name]
    base = FAMILIES[family](tmp_path / "base")
    folder = make_checkpoint(base, tmp_path / "model", kind, task.labels, pad_token_id=0, eos_token_id=3)
    head = read_trained_head(find_base_model(str(folder)))
    assert isinstance(head, TrainedHead)
    spec = ModelSpec(kind, head.spec.pooling, head.spec.logits, library_head=head.spec.library_head)
    model, carried = again(folder, head.shape(spec), task)
    assert carried == Carried([*range(spec.logits)], "the base model's head goes on")
    expected = original_logits(LIBRARY[kind].from_pretrained(folder).eval(), BATCH)
    assert torch.allclose(logits(model), expected, atol=1e-4)


def test_a_head_that_is_not_read(tmp_path: Path) -> None:
    """T5's classifier reads by the decoder, which is told."""
    base = FAMILIES["T5"](tmp_path / "base")
    folder = make_checkpoint(base, tmp_path / "model", "sequence", THREE.labels)
    carried = again(folder, ModelSpec("sequence", "mean", 3, library_head=False), THREE)[1]
    told = "a fresh one is trained: T5ForSequenceClassification reads by its decoder, and here the encoder of"
    assert told in carried.text
    assert carried.partly


def test_a_head_that_is_not_there(tiny_backbone: Path, tmp_path: Path) -> None:
    """Told, as no weights of the folder can be trusted then."""
    saved(tiny_backbone, tmp_path / "run", THREE, SPECS[0])
    shutil.copy(tiny_backbone / "model.safetensors", tmp_path / "run" / "model.safetensors")
    with pytest.raises(InputError, match=r"the head .* is not in its weights, or in another shape \(classifier"):
        again(tmp_path / "run", SPECS[0], THREE)


def again_recipe(toy: MakeRecipe, run: Run, **sections: Any) -> Recipe:
    rates = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "num_train_epochs": 1}
    recipe = toy(training=rates, **sections)
    return recipe.model_copy(update={"model": str(run.checkpoint)})


@pytest.mark.slow
def test_a_run_that_goes_on(toy: MakeRecipe, tmp_path: Path) -> None:
    """Where the recipe is silent it reads as the first did; at a rate of nothing it scores as before; it replays."""
    first = fit(toy(model_head={"layers": 2}, data={"max_length": 20}), tmp_path / "first")
    recipe = again_recipe(toy, first)
    setup = prepare_setup(recipe, tmp_path / "again")
    assert (setup.recipe.model_head.layers, setup.recipe.model_head.pooling) == (2, "mean")
    assert setup.recipe.data.max_length == 20
    assert prepare_setup(again_recipe(toy, first, data={"max_length": 40}), tmp_path).recipe.data.max_length == 40
    run = fit(recipe, tmp_path / "again")
    assert run.read_record()["metrics"] == first.read_record()["metrics"]
    assert load_checkpoint(run.checkpoint).model_spec == load_checkpoint(first.checkpoint).model_spec
    assert "head.safetensors" in setup.base.files()
    assert replay(run.root, console=Console(file=io.StringIO())).equal


@pytest.mark.slow
def test_warned_of(toy: MakeRecipe, tiny_run: Run, tmp_path: Path) -> None:
    """The report names the labels that begin anew."""
    recipe = again_recipe(toy, tiny_run)
    write_csv(tmp_path / "toy.csv", [(text, label.replace("track", "find")) for text, label in toy_rows()])
    run = fit(recipe, tmp_path / "again")
    told = "the base model's head goes on for 'cancel', 'refund'; fresh: 'find'; left out: 'track'"
    assert told in run.read_record()["warnings"]
