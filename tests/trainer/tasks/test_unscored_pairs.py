"""Pairs without scores as rows: hard negatives, sampled ones, what a split keeps together, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from serving.errors import InputError
from tests.trainer.conftest import training_task
from trainer.data.table import Table
from trainer.recipe.recipe import Recipe
from trainer.setup.splits import load_splits
from trainer.tasks.base import TrainingTask

FAQ = {"q": ["where is it?", "where is  IT?", "refund!", "stop"], "a": ["track", "map", "money", "cancel"]}


def vectors(**data: Any) -> TrainingTask:
    head = {"loss": "multiple-negatives-ranking"}
    return training_task("feature-extraction", {"text": "q", "text_pair": "a", **data}, model_head=head)


def reranker(**data: Any) -> TrainingTask:
    head = {"loss": "binary-cross-entropy"}
    return training_task("regression", {"text": "q", "text_pair": "a", **data}, model_head=head)


def table(**columns: list[Any]) -> Table:
    return Table("faq.csv", {**FAQ, **columns})


def test_a_row_has_its_negatives() -> None:
    """Of several columns, a text or a list of texts each; none where a cell is empty, nor the right answer."""
    task = vectors(negative=("wrong", "worse"))
    rows = task.rows(table(wrong=["film", "", None, "Cancel"], worse=[["a", "b"], [], "film", float("nan")]))
    assert rows.inputs[0] == {
        "text": "where is it?", "text_pair": "track", "negative_1": "film", "negative_2": "a", "negative_3": "b",
    }  # fmt: skip
    assert [len(each) for each in rows.inputs] == [5, 2, 3, 2]
    assert rows.targets == FAQ["a"]


@pytest.mark.parametrize(
    ("wrong", "problem"), [([1, "x", "x", "x"], "wrong is not text but a number"), ([["x", " "]] * 4, "wrong is empty")]
)
def test_a_negative_that_is_no_text_is_told(wrong: list[Any], problem: str) -> None:
    """With its row, like any other value."""
    faq = table(wrong=wrong)
    vectors(negative="wrong").rows(faq)
    assert problem in faq.problems.message("faq.csv")


def test_negatives_lose_personal_data_too() -> None:
    """As the server will not be sent any."""
    rows = vectors(negative="wrong", redact=("email",)).rows(table(wrong=["write to a@b.org", "", "", ""]))
    assert rows.inputs[0]["negative_1"] == "write to [EMAIL]"


def test_sampled_negatives_are_never_right() -> None:
    """A question with two answers is beside neither as a wrong one; the same rows get the same ones again."""
    task = reranker(sampled_negatives=3)
    rows = task.complete(task.rows(table()))
    candidates = [list(each.values())[1:] for each in rows.inputs]
    assert [each[0] for each in candidates] == FAQ["a"]
    assert set(candidates[0][1:]) == set(candidates[1][1:]) == {"money", "cancel"}
    assert set(candidates[2][1:]) == {"track", "map", "cancel"}
    assert task.complete(task.rows(table())).inputs == rows.inputs


def test_sampled_negatives_stay_on_their_side_of_a_split(tmp_path: Path) -> None:
    """No row meets a second text of another side, in a fold or a search's part neither; its own negatives stay."""
    lines = [f"question {at},answer {at // 2},wrong {at}" for at in range(80)]
    (tmp_path / "faq.csv").write_text("\n".join(["q,a,w", *lines]))
    files = {"train": str(tmp_path / "faq.csv"), "test": 0.25, "validation": 0.25}
    task = reranker(**files, negative="w", sampled_negatives=3)
    splits = load_splits(task)
    once = [splits.train, splits.validation, splits.test]
    again = [task.complete(rows.take(range(4, len(rows)))) for rows in once]  # as for a fold
    for rows in (*once, *again):
        own = set(rows.targets)
        for inputs in rows.inputs:
            text, right, hard, *sampled = inputs.values()
            assert hard == text.replace("question", "wrong")
            assert len(set(sampled)) == 3
            assert set(sampled) <= own - {right}


def test_a_split_keeps_a_question_and_its_answers_together() -> None:
    """Rows that share either text, directly or by way of another; of few answers, the questions alone."""
    many = {"q": [f"q{at // 2}" for at in range(60)], "a": [f"a{(at + 1) // 2 % 29}" for at in range(60)]}
    few = vectors().rows(table()).groups
    assert (few[0] == few[1], len(set(few))) == (True, 3)
    apart = {"q": [f"q{at}" for at in range(60)], "a": [f"a{at // 2}" for at in range(60)]}
    groups = vectors().rows(Table("x", apart)).groups
    assert (len(set(groups)), groups[0] == groups[1]) == (30, True)
    chained = vectors().rows(Table("x", many)).groups  # one part of all: its questions are what is kept together
    assert len(set(chained)) == 30


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"data": {"label": "x"}}, "data.label: belongs to rows with an answer of their own"),
        ({"data": {"sampled_negatives": 3}}, "data.sampled_negatives: belongs to task: regression"),
        ({"model_head": {"focal_gamma": 3.0}}, "model_head.focal_gamma"),
        ({"model_head": {"loss": "cosent"}, "data": {"negative": "n"}}, "data.negative: belongs to pairs without"),
        ({"model_head": {"loss": "cosent", "symmetric": True}}, "model_head.symmetric: belongs to model_head.loss"),
        ({"model_head": {"loss": "cosine", "scale": 5.0}}, "model_head.scale: belongs to model_head.loss: cosent or"),
        ({"training": {"metric_for_best_model": "spearman"}}, "give one of recall_at_1, recall_at_5"),
        ({"model_head": {"loss": "cosent"}, "training": {"metric_for_best_model": "mrr_at_10"}}, "spearman, pearson"),
        ({"data": {"folds": 3}}, "data.folds: the vectors of one fold's model"),
        ({"data": {"text_pair": "q"}}, "data.text_pair: 'q' is named twice"),
    ],
)  # fmt: skip
def test_what_does_nothing_is_refused(recipe: dict[str, Any], message: str, tmp_path: Any) -> None:
    """With what it belongs to."""
    from trainer.recipe.recipe import create_recipe

    whole: dict[str, Any] = {
        "task": "feature-extraction",
        "model_head": {"loss": "multiple-negatives-ranking"},
        "data": {"train": "faq.csv", "test": 0.25, "text": "q", "text_pair": "a"},
    }
    for section, values in recipe.items():
        whole[section] = {**whole.get(section, {}), **values}
    with pytest.raises((InputError, ValidationError), match=message):
        create_recipe(whole, tmp_path, "recipe.yaml")


def test_one_answer_for_all_teaches_nothing() -> None:
    """Told before the training."""
    for task in (vectors(), reranker()):
        rows = task.rows(table(a=["Yes", "yes", "yes ", "YES"]))
        with pytest.raises(InputError, match="every training row has the same second text"):
            task.settings(rows, [], 64)


def test_scores_that_are_missing_lead_to_the_loss_without_them() -> None:
    """Someone with pairs alone is told what learns from them."""
    for name in ("feature-extraction", "regression"):
        task = training_task(name, {"text": "q", "text_pair": "a"})
        with pytest.raises(InputError, match="pairs without scores are learned under model_head"):
            task.rows(table())


def test_the_default_metric_is_a_ranking() -> None:
    """Scored pairs keep theirs."""
    assert vectors().recipe.metric == reranker().recipe.metric == "recall_at_1"
    assert training_task("regression", {"text_pair": "a"}).recipe.metric == "pearson"
    assert isinstance(vectors().recipe, Recipe)
