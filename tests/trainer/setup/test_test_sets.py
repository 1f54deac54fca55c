"""Several test sets, each with metrics of its own, none with a text or article of the training rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests import tiny, zoo
from tests.paths import SHARED_DATA
from tests.trainer.conftest import MakeRecipe, fit
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.setup.splits import Splits, load_splits
from trainer.tasks import create_training_task

XQUAD = SHARED_DATA / "xquad"


def splits_of(recipe: Recipe) -> Splits:
    """The sets of a recipe."""
    return load_splits(create_training_task(recipe))


@pytest.mark.slow
def test_each_has_its_score(toy: MakeRecipe, tmp_path: Path) -> None:
    """Named files are each measured; their rows together are the test set that the proof takes."""
    rows = tiny.toy_rows()
    tiny.write_csv(tmp_path / "shop.csv", [(f"hello, {text}", label) for text, label in rows[:12]])
    tiny.write_csv(tmp_path / "post.csv", [(f"dear all, {text}", label) for text, label in rows[-9:]])
    files = {"shop": "shop.csv", "post": "post.csv"}
    run = fit(toy(data={"test": files}), tmp_path / "run")
    record = run.read_record()
    assert {name: figures["rows"] for name, figures in record["test_sets"].items()} == {"shop": 12, "post": 9}
    right = sum(figures["accuracy"] * figures["rows"] for figures in record["test_sets"].values())
    assert record["metrics"]["test"]["accuracy"] == pytest.approx(right / 21)
    assert len(run.read_evaluation()) == record["metrics"]["test"]["rows"] == 21
    assert {"test_shop", "test_post"} < set(record["data"]["files"])
    assert "| test, post | 9 |" in run.report.read_text()
    assert load_recipe(run.recipe).data.test == {"shop": str(tmp_path / "shop.csv"), "post": str(tmp_path / "post.csv")}
    assert fit(toy(data={"test": files}), tmp_path / "run").status() == "finished"
    with pytest.raises(InputError, match=r"data\.test\.mail"):
        fit(toy(data={"test": {"shop": "shop.csv", "mail": "post.csv"}}), tmp_path / "run")


def test_list(toy: MakeRecipe, tmp_path: Path) -> None:
    """A list of files names its sets after them."""
    for name in ("a", "b"):
        tiny.write_csv(tmp_path / f"{name}.csv", tiny.toy_rows()[:6])
    splits = splits_of(toy(data={"test": ["a.csv", "b.csv"]}))
    assert list(splits.tests) == ["a", "b"]
    assert len(splits.test) == 12
    assert splits.excluded == {}  # the user's own split is taken as it is


@pytest.mark.slow
def test_nothing_learned_is_asked(toy: MakeRecipe, tmp_path: Path) -> None:
    """Beside a held-out fraction, a file loses the texts that stay in training."""
    tiny.write_csv(tmp_path / "again.csv", tiny.toy_rows())
    splits = splits_of(toy(data={"test": {"ours": 0.25, "again": "again.csv"}}))
    alone = splits_of(toy(data={"test": 0.25}))
    assert splits.tests["ours"].inputs == alone.test.inputs
    assert sorted(splits.tests["again"].inputs) == sorted(alone.test.inputs)
    assert splits.excluded == {"again": 54}
    warnings = fit(toy(data={"test": {"ours": 0.25, "again": "again.csv"}}), tmp_path / "run").read_record()["warnings"]
    assert "54 rows of test set again are excluded" in "\n".join(warnings)
    tiny.write_csv(tmp_path / "again.csv", [row for row in tiny.toy_rows() if row[0] in set(alone.train.inputs)])
    with pytest.raises(InputError, match=r"data\.test: again: every text or article of again\.csv"):
        splits_of(toy(data={"test": {"ours": 0.25, "again": "again.csv"}}))


@pytest.mark.parametrize(
    ("test", "expected"),
    [([], "names no set"), ({}, "names no set"), (["a/x.csv", "b/x.csv"], "two files of one name")],
)
def test_refused(toy: MakeRecipe, test: Any, expected: str) -> None:
    """No set at all, and two of one name, are refused."""
    with pytest.raises(InputError, match=expected):
        toy(data={"test": test})


def test_bad_row_of_a_named_set(toy: MakeRecipe, tmp_path: Path) -> None:
    """An unknown label in one of the sets is named with that set's file and row."""
    tiny.write_csv(tmp_path / "good.csv", tiny.toy_rows()[:3])
    tiny.write_csv(tmp_path / "bad.csv", [("one", "cancel"), ("two", "praise")])
    with pytest.raises(InputError, match=r"bad\.csv .*row 2: label 'praise' is not among the training labels"):
        splits_of(toy(data={"test": {"good": "good.csv", "bad": "bad.csv"}}))


def excerpt(language: str, folder: Path) -> str:
    """Twelve real articles' first two paragraphs, with the questions that fit a tiny model's 128 tokens."""
    content = json.loads((XQUAD / f"{language}.json").read_text(encoding="utf-8"))
    content["data"] = content["data"][:12]
    for article in content["data"]:
        article["paragraphs"] = article["paragraphs"][:2]
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [asked for asked in paragraph["qas"] if len(asked["question"]) <= 80]
    path = folder / f"{language}.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return str(path)


@pytest.mark.slow
@pytest.mark.skipif(not XQUAD.is_dir(), reason=f"the public data set is not at {XQUAD}")
@pytest.mark.parametrize("family", ["mBERT", "XLM-R"])
def test_one_language_to_others(tmp_path: Path, family: str) -> None:
    """A multilingual model learns from English articles and is asked about others in English, German and Chinese."""
    backbone = zoo.FAMILIES[family](tmp_path / "backbone")
    train, german, chinese = (excerpt(language, tmp_path) for language in ("en", "de", "zh"))
    data = {"train": train, "validation": 0.2, "test": {"en": 0.25, "de": german, "zh": chinese}, "stride": 16}
    training = {"num_train_epochs": 1, "per_device_train_batch_size": 32, "bf16": False}
    recipe = Recipe.model_validate(
        {"task": "question-answering", "model": str(backbone), "data": data, "training": training}
    )
    run = fit(recipe, tmp_path / "run")
    splits, sets = splits_of(recipe), run.read_record()["test_sets"]
    assert set(sets) == set(splits.tests) == {"en", "de", "zh"}
    learned = {*splits.train.groups, *splits.validation.groups}
    asked = [set(rows.groups) for rows in splits.tests.values()]
    assert not learned & set.union(*asked)
    assert asked[0] == asked[1] == asked[2]  # the same articles, in each language
    assert all(0.0 <= figures["exact_match"] <= figures["f1"] <= 1.0 for figures in sets.values())
    assert len(run.read_evaluation()) == sum(figures["rows"] for figures in sets.values())
