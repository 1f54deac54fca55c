"""Answers are decoded when they are read; what is kept of each is what metrics and decisions need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.proof.answers.reference import ReferenceAnswers, compute_reference_answers, load_reference
from export.proof.answers.served_answers import compute_served_answers
from serving.inference.predictor import Predictor
from tests.toys import TOYS
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS)
def test_what_is_kept_gives_the_same_metrics_and_decisions(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path], toy: str
) -> None:
    """Metrics, correct rows, confidences and decisions are those of the whole answers, on either side."""
    run = task_run(toy)
    training_task = create_training_task(load_recipe(run.recipe))
    reference = compute_reference_answers(
        load_reference(run.checkpoint, generates=False), training_task, run.read_evaluation()
    )
    rows, served = reference.evaluation, compute_served_answers(reference, Predictor.open(task_bundle(toy)))
    for answers in (reference.answers, served.answers):
        whole = iter(answers)
        by_row = [training_task.answer([next(whole) for _ in range(count)]) for count in reference.counts]
        for measure in (training_task.metrics, training_task.is_correct, training_task.mistakes):
            assert measure(rows, answers.by_row) == measure(rows, by_row)
        assert training_task.confidences(answers.by_row) == training_task.confidences(by_row)
        assert answers.decisions == [answers.task.decision(answer) for answer in answers]
    assert all(a.windows is b.windows for a, b in zip(served.encoded, reference.encoded, strict=True))


def test_a_classifier_keeps_one_label_of_an_answer(reference: ReferenceAnswers) -> None:
    """A whole answer has them all."""
    assert {len(answer) for answer in reference.row_answers} == {1}
    assert {len(answer) for answer in reference.answers} == {len(reference.model.task.labels)}
    assert reference.answers[:2] == [reference.answers[0], reference.answers[1]]
