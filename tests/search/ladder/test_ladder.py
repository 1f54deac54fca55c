"""The ladder: what each rung reaches on validation rows, for every task, and whether fine-tuning pays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from search.ladder.ladder import CHEAP, RUNGS, climb, rungs_of
from search.ladder.rung import Rung
from search.ladder.vectors import joined, word_vectors
from search.ladder.verdict import notes, verdict
from serving.errors import InputError
from tests import tiny_generators
from tests.toys import write_toy
from tests.trainer.conftest import fit
from trainer.fit.score import Score
from trainer.metrics.resampling import mean_of
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup


def measured(rungs: Sequence[Rung]) -> dict[str, Rung]:
    """By name."""
    return {rung.name: rung for rung in rungs if rung.measured}


@pytest.mark.slow
def test_the_cheap_rungs_of_the_toy(tiny_backbone: Path, tmp_path: Path) -> None:
    """In their order, with interval and costs; the constant is the frequent label's share, TF-IDF is scikit-learn's."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification"))
    found = measured(climb(recipe, tmp_path, CHEAP, examples=[0, 4], repeats=2))
    assert list(found) == [
        "most frequent label",
        "TF-IDF + linear",
        "static vectors + linear",
        "label descriptions",
        "4 examples a label",
        "frozen encoder + linear",
    ]
    splits = prepare_setup(recipe, tmp_path).splits
    frequent = max(splits.labels, key=splits.train.targets.count)
    assert found["most frequent label"].value == pytest.approx(
        np.mean([target == frequent for target in splits.validation.targets])
    )
    words = word_vectors(splits.train.inputs)
    train, validation = (words.transform(map(joined, rows.inputs)) for rows in (splits.train, splits.validation))
    model = LogisticRegression(C=10.0, max_iter=1000, random_state=0).fit(train, splits.train.targets)
    expected = accuracy_score(splits.validation.targets, model.predict(validation))
    assert found["TF-IDF + linear"].value == pytest.approx(expected)
    assert len(found["4 examples a label"].scores) == 2
    assert found["4 examples a label"].train_rows == 12
    for rung in found.values():
        assert rung.interval[0] <= rung.value <= rung.interval[1]
        assert rung.milliseconds is not None
        assert json.dumps(rung.to_record())
    assert found["static vectors + linear"].value > found["most frequent label"].value


@pytest.mark.slow
def test_few_examples_are_learned_as_a_run_learns_them(tiny_backbone: Path, tmp_path: Path) -> None:
    """By the recipe's descriptions of the labels, and with its texts without labels."""
    few_shot = {
        "examples_per_label": 2,
        "label_descriptions": {"cancel": "where is it?", "track": "stop it!"},
        "rows": "rows.csv",
    }
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", few_shot=few_shot))
    (rung,) = climb(recipe, tmp_path, ["few-shot"], examples=[2], repeats=1)
    run = fit(recipe, tmp_path / "run").read_record()
    assert rung.name == "2 examples a label + texts"
    assert rung.value == pytest.approx(run["metrics"]["validation"]["accuracy"])
    alone = {"examples_per_label": 2}
    plain = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", few_shot=alone))
    assert [each.value for each in climb(plain, tmp_path, ["few-shot"], examples=[2], repeats=1)] != [rung.value]


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["two labels", "text pairs", "multi-label-classification", "regression"])
def test_every_task_with_a_vector_a_text_has_the_cheap_rungs(toy: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """Words or the frozen encoder beat the constant answer; few-shot is for one label of one text."""
    head = {"loss": "binary-cross-entropy"} if toy == "two labels" else {}
    rungs = climb(load_recipe(write_toy(tmp_path, tiny_backbone, toy, model_head=head)), tmp_path, CHEAP, repeats=1)
    found = measured(rungs)
    constant, *others = found.values()
    assert max(rung.value for rung in others) > constant.value
    assert ("few-shot: not measured, is for single texts with one label each" in notes(rungs)) == (toy != "two labels")


def test_other_tasks_are_told_what_they_lack(tiny_backbone: Path, tmp_path: Path) -> None:
    """And unknown rungs what there are."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "token-classification"))
    rungs = climb(recipe, tmp_path, ["tf-idf", "full"], minutes=0)
    assert notes(rungs) == [
        "tf-idf: not measured, is for texts with labels or numbers, not for token-classification",
        "all weights: not measured, there was no time left",
    ]
    assert verdict(rungs) == ""
    with pytest.raises(InputError, match="--rungs fullest: is unknown; accepted are: majority, tf-idf"):
        climb(recipe, tmp_path, ["fullest"])


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["feature-extraction", "pairs without scores"])
def test_vectors_have_the_base_model_as_it_is(toy: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """Its score is that of its own vectors, and it costs no training; a classifier has no such rung."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, toy))
    assert rungs_of(recipe) == ["untrained", "lora", "full"]
    untrained, lora = climb(recipe, tmp_path, ["untrained", "lora"], minutes=1)
    assert (untrained.train_rows, untrained.name) == (0, "base model as it is")
    assert untrained.interval[0] <= untrained.value <= untrained.interval[1]
    assert untrained.milliseconds is not None
    assert lora.measured, lora.note
    assert lora.parameters == untrained.parameters


@pytest.mark.slow
def test_generated_text_has_it_too(tmp_path: Path) -> None:
    """And adapters at their own rate."""
    base = tiny_generators.make_gpt2(tmp_path / "base")
    recipe = load_recipe(write_toy(tmp_path, base, "text-generation", training={"num_train_epochs": 1}))
    untrained, lora = climb(recipe, tmp_path, ["untrained", "lora"], minutes=2)
    assert (untrained.measured, lora.measured) == (True, True), lora.note
    assert untrained.milliseconds is None


def test_a_classifier_has_no_base_model_as_it_is(tiny_backbone: Path, tmp_path: Path) -> None:
    """By default it is not tried; asked for, it is told."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification"))
    assert rungs_of(recipe) == [*CHEAP, "classifier", "lora", "full"]
    assert notes(climb(recipe, tmp_path, ["untrained"])) == [
        "untrained: not measured, a base model has no answers of its own to text-classification"
    ]


@pytest.mark.slow
def test_what_is_trained_differs_by_its_weights_alone(tiny_backbone: Path, tmp_path: Path) -> None:
    """Classifier, adapters and all weights are scored as a run is, and leave nothing behind."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification"))
    before = sorted(tmp_path.iterdir())
    found = measured(climb(recipe, tmp_path, ["majority", "classifier", "lora", "full"]))
    assert list(found) == ["most frequent label", "classifier alone", "LoRA", "all weights"]
    assert found["all weights"].value > found["most frequent label"].value
    assert {rung.parameters for rung in found.values()} == {0, found["all weights"].parameters}
    assert sorted(tmp_path.iterdir()) == before


def rung(key: str, right: Sequence[bool], seconds: float = 1.0) -> Rung:
    """One whose validation rows were answered so."""
    values = [float(each) for each in right]
    score = Score("accuracy", float(np.mean(values)), (0.0, 1.0), mean_of(values))
    return Rung(key, f"the {key}", [score], len(right), seconds, 2.0, 1)


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ([True] * 90 + [False] * 10, "Fine-tuning pays: the full gains +30.0 points of accuracy"),
        ([True] * 61 + [False] * 39, "100 validation rows cannot tell whether fine-tuning pays"),
        ([True] * 30 + [False] * 70, "Fine-tuning does not pay: the full gains -30.0 points"),
    ],
    ids=["pays", "unclear", "does not"],
)
def test_the_verdict_follows_from_the_paired_difference(trained: list[bool], words: str) -> None:
    """Over the best rung that is not fine-tuned, whichever that is."""
    frozen, tf_idf = rung("frozen", [True] * 60 + [False] * 40), rung("tf-idf", [False] * 100)
    told = verdict([tf_idf, frozen, rung("full", trained, seconds=120)])
    assert words in told
    assert "over the frozen, for 2.0 min of training instead of 1 s, and about the same time a text" in told


def test_the_rungs_are_those_that_the_page_names() -> None:
    """docs/training.md lists each."""
    from tests.paths import ROOT

    page = (ROOT / "docs" / "training.md").read_text()
    assert all(f"| `{key}` |" in page for key in RUNGS)
