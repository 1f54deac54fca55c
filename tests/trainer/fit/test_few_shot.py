"""Classifying without fine-tuning: which examples are taken, what the classifier is, and the whole road."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.exporter import export_run
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.toys import write_toy
from tests.trainer.conftest import fit
from trainer.data.rows import Rows
from trainer.fit.few_shot import (
    Vectors,
    describe_labels,
    fit_classifier,
    learn_from_unlabelled,
    of_length_1,
    sample_examples,
)
from trainer.recipe.recipe import load_recipe
from trainer.recipe.sections import FewShot
from trainer.run.run import changes_between

ROWS = Rows("r", [f"text {n}" for n in range(9)], list("aaaaabbbc"), list(range(1, 10)), [""] * 9)


def test_as_many_rows_of_each_label_are_chosen_or_all_it_has() -> None:
    """Two of each label, the one of c; the same by the same seed, others by another."""
    places = sample_examples(ROWS, ["a", "b", "c"], 2, seed=0)
    assert [ROWS.targets[at] for at in places] == list("aabbc")
    assert places == sample_examples(ROWS, ["a", "b", "c"], 2, seed=0)
    assert len({tuple(sample_examples(ROWS, ["a", "b", "c"], 2, seed)) for seed in range(8)}) > 1


def test_a_label_describes_itself_unless_it_is_described() -> None:
    """Underscores of a name are spaces."""
    found = describe_labels(FewShot(examples_per_label=0, label_descriptions={"b": "all about b"}), ["card_lost", "b"])
    assert found == ["card lost", "all about b"]


def test_without_examples_the_nearest_description_answers() -> None:
    """The weights are the descriptions' vectors, scaled, without a bias."""
    descriptions = np.eye(3, dtype=np.float32)
    layer = fit_classifier(np.empty((0, 3), dtype=np.float32), [], descriptions, seed=0)
    vector = np.array([0.1, 0.9, 0.2], dtype=np.float32)
    assert (layer.weight @ vector + layer.bias).argmax() == 1
    assert not layer.bias.any()


@pytest.mark.parametrize("labels", [2, 4])
def test_examples_move_the_answer(labels: int) -> None:
    """Examples that lie elsewhere than their description win over it; two labels get a row of weights each too."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(labels, 16))
    examples = np.concatenate([centres + 0.1 * rng.normal(size=(labels, 16)) for _ in range(5)]).astype(np.float32)
    numbers = list(range(labels)) * 5
    layer = fit_classifier(examples, numbers, np.eye(labels, 16, dtype=np.float32), seed=0)
    assert layer.weight.shape == (labels, 16)
    assert (centres @ layer.weight.T + layer.bias).argmax(axis=1).tolist() == list(range(labels))


@pytest.mark.parametrize("labels", [2, 4])
def test_texts_without_labels_tell_which_others_a_label_has(labels: int) -> None:
    """One example of each label, far from its group's middle, answers for the group once its other texts are known."""
    rng, numbers = np.random.default_rng(0), list(range(labels))

    def around(count: int, spread: float) -> Vectors:
        centres = np.repeat(np.eye(labels, 8), count, axis=0)
        return of_length_1((centres + spread * rng.normal(size=centres.shape)).astype(np.float32))

    known, others = around(1, 0.4), around(60, 0.2)
    alone = fit_classifier(known[:0], [], known, seed=0)
    together = learn_from_unlabelled(alone, known, numbers, others, seed=0)
    right = [
        ((others @ each.weight.T + each.bias).argmax(axis=1) == np.repeat(numbers, 60)) for each in (alone, together)
    ]
    assert together.weight.shape == (labels, 8)
    assert right[0].mean() < 0.96
    assert right[1].mean() > 0.99


@pytest.mark.slow
def test_a_run_of_descriptions_alone(tiny_backbone: Path, tmp_path: Path) -> None:
    """A recipe without examples makes a finished run whose record says so."""
    recipe = write_toy(tmp_path, tiny_backbone, "text-classification", few_shot={"examples_per_label": 0})
    record = fit(load_recipe(recipe), tmp_path / "run").read_record()
    assert (record["status"], record["examples"]) == ("finished", 0)


@pytest.mark.slow
def test_a_few_shot_recipe_goes_the_whole_road(tiny_backbone: Path, tmp_path: Path) -> None:
    """Fitted, evaluated, proven, opened and asked; the record says how many examples it had."""
    recipe = write_toy(tmp_path, tiny_backbone, "text-classification", few_shot={"examples_per_label": 5})
    run = fit(load_recipe(recipe), tmp_path / "run")
    assert run.read_record()["examples"] == 15
    answers = Predictor.open(export_run(run, tmp_path / "bundle").bundle).predict(["where is my parcel?"])
    assert {each["label"] for each in answers[0]} == {"cancel", "refund", "track"}


@pytest.mark.slow
def test_texts_without_labels_go_the_whole_road(tiny_backbone: Path, tmp_path: Path) -> None:
    """They are counted without those that measure the model, and part of what makes the run; the bundle has no path."""
    recipe = write_toy(
        tmp_path, tiny_backbone, "text-classification", few_shot={"examples_per_label": 2, "rows": "rows.csv"}
    )
    run = fit(load_recipe(recipe), tmp_path / "run")
    record = run.read_record()
    splits = record["data"]["splits"]
    assert record["unlabelled"] == splits["train"]["rows"]
    told = f"fitted to its vectors of 6 examples and {record['unlabelled']} texts without labels."
    assert told in run.report.read_text()
    assert record["data"]["files"]["few_shot.rows"]["name"] == "rows.csv"
    again = record | {"data": record["data"] | {"files": {"few_shot.rows": {"sha256": "another"}}}}
    assert [line.partition(":")[0] for line in changes_between(record, again)] == ["few_shot.rows"]
    bundle = Bundle.open(export_run(run, tmp_path / "bundle").bundle)
    assert bundle.manifest.training["recipe"]["few_shot"] == {"examples_per_label": 2}


def test_texts_without_labels_and_folds(tiny_backbone: Path, tmp_path: Path) -> None:
    """A fold's held-out texts would be among them."""
    few_shot = {"examples_per_label": 2, "rows": "rows.csv"}
    recipe = write_toy(tmp_path, tiny_backbone, "text-classification", few_shot=few_shot, data={"folds": 3})
    with pytest.raises(InputError, match=r"data\.folds: few_shot\.rows may have the texts that a fold holds out"):
        load_recipe(recipe)
