"""What was expected and not answered, beside what was answered and not expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainer.data.rows import Rows
from trainer.fit.evaluate import MOST_MISSES, Evaluation, evaluate
from trainer.fit.explain_mistakes import explain_mistakes
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task


def evaluated(run: Run, alter: Callable[[Any], Any]) -> tuple[Checkpoint, Evaluation]:
    """The run's checkpoint on its test rows, whose targets are altered."""
    rows, checkpoint = run.read_evaluation(), load_checkpoint(run.checkpoint)
    altered = Rows(rows.name, rows.inputs, [alter(each) for each in rows.targets], rows.numbers, rows.groups)
    return checkpoint, evaluate(checkpoint, create_training_task(load_recipe(run.recipe)), altered, 8)


def test_labels_that_were_not_given(task_run: Callable[[str], Run]) -> None:
    """With every label expected, those missing from the answers are listed, the least likely first."""
    run = task_run("multi-label-classification")
    labels = run.read_record()["labels"]
    checkpoint, found = evaluated(run, lambda _: labels)
    errors = found.errors()
    assert errors["worst"] == []
    assert 0 < len(errors["missed"]) <= MOST_MISSES
    assert [each["confidence"] for each in errors["missed"]] == sorted(each["confidence"] for each in errors["missed"])
    for each in errors["missed"]:
        answered = [answer["label"] for answer in found.answers[each["line"] - 1]]
        assert each["expected"] not in answered
        assert each["answered"] == (", ".join(label for label in labels if label in answered) or "none")
        (encoded,) = [checkpoint.task.check(found.rows.inputs[each["line"] - 1])]
        assert encoded == each["text"]


def test_entities_that_were_not_found(task_run: Callable[[str], Run]) -> None:
    """With every word an entity, the misses are told with what stands there instead, and a probability."""
    run = task_run("token-classification")
    kind = run.read_record()["labels"][1].partition("-")[2]
    _, found = evaluated(run, lambda target: {**target, "tags": [f"B-{kind}"] * len(target["tags"])})
    missed = found.errors()["missed"]
    assert missed
    for each in missed:
        assert each["expected"].removeprefix(f"{kind} ") in found.rows.inputs[each["line"] - 1]
        assert 0 <= each["confidence"] <= 1


def test_mistakes_have_the_words_that_they_rest_on(task_run: Callable[[str], Run]) -> None:
    """Of a classifier each word's share is in the text's order; the strongest has 1 or -1."""
    run = task_run("text-classification")
    labels = run.read_record()["labels"]
    checkpoint, found = evaluated(run, lambda label: labels[labels.index(label) - 1])
    for each in explain_mistakes(checkpoint, found.rows, found.errors()["worst"]):
        assert "".join(word["word"] for word in each["words"]) == each["text"].replace(" ", "")
        assert max(abs(word["share"]) for word in each["words"]) == 1


def test_a_regression_is_off_by_something(task_run: Callable[[str], Run]) -> None:
    """A number has no confidence."""
    _, found = evaluated(task_run("regression"), lambda number: number + 10)
    errors = found.errors()
    assert errors["measure"] == "error"
    assert all(each["error"] > 0 and "confidence" not in each for each in errors["worst"])
