"""How far a variant's answers are the checkpoint's: the look by which one is chosen, before the whole proof."""

from __future__ import annotations

from dataclasses import dataclass

from export.proof.parity import Parity
from export.proof.reference_answers import ReferenceAnswers
from export.proof.served_answers import ServedAnswers, compute_served_answers
from export.proof.statistics import Change, measure_change
from serving.inference.predictor import Predictor


@dataclass(frozen=True)
class Judgement:
    """Some of a proof's figures, by the same names; neither invariance nor the tokenizer is looked at."""

    compared: int
    answers_equal: int
    metric: str
    score: float
    reference_score: float
    change: Change


def judge(expected: ReferenceAnswers, predictor: Predictor) -> Judgement:
    """Answer every row and hard input as a server would, and compare."""
    served = compute_served_answers(expected, predictor)
    change = change_of(served)
    return Judgement(
        compared=len(expected.items),
        answers_equal=served.same_answers.count(True),
        metric=change.metric,
        score=change.served,
        reference_score=change.reference,
        change=change,
    )


def change_of(served: ServedAnswers) -> Change:
    """The change of the task's metric; no number where an answer is none, as broken weights give."""
    expected = served.expected
    training_task, rows = expected.training_task, expected.evaluation
    metric, budget = training_task.proof_metric, training_task.recipe.export.max_metric_drop
    before = expected.scores[metric]
    try:
        after = training_task.metrics(rows, served.row_answers)[metric]
    except ValueError:  # correlations refuse what is not a finite number
        nan = float("nan")
        return Change(metric, before, nan, nan, nan, nan, (nan, nan), 0, 0, len(rows), budget, None)
    sides = [
        training_task.weighted_metric(metric, rows, answers) for answers in (expected.row_answers, served.row_answers)
    ]
    return measure_change(metric, (before, after), (sides[0], sides[1]), len(rows), budget)


AGREEMENT = 0.99
"""Share of the inputs that must be answered as the checkpoint answers them; of few inputs one may always differ."""


def agreement(found: Parity | Judgement) -> float:
    """The share of the inputs that are answered as the checkpoint answers them."""
    return found.answers_equal / found.compared


def agrees(found: Parity | Judgement) -> bool:
    """Whether enough inputs are answered as the checkpoint answers them."""
    return found.compared - found.answers_equal <= max(1, (1 - AGREEMENT) * found.compared)
