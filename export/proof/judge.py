"""How far a variant's answers are the checkpoint's: the look by which one is chosen, before the whole proof."""

from __future__ import annotations

from dataclasses import dataclass

from export.proof.expected import Expected
from export.proof.served import Served, serve
from export.proof.statistics import Change, measure_change
from serving.predictor import Predictor


@dataclass(frozen=True)
class Judgement:
    """Some of a proof's figures, by the same names; neither invariance nor the tokenizer is looked at."""

    compared: int
    answers_equal: int
    metric: str
    score: float
    reference_score: float
    change: Change


def judge(expected: Expected, predictor: Predictor) -> Judgement:
    """Answer every row and hard input as a server would, and compare."""
    served = serve(expected, predictor)
    change = change_of(served)
    return Judgement(
        compared=len(expected.items),
        answers_equal=served.same_answers.count(True),
        metric=change.metric,
        score=change.served,
        reference_score=change.reference,
        change=change,
    )


def change_of(served: Served) -> Change:
    """The change of the task's metric; no number where an answer is none, as broken weights give."""
    expected = served.expected
    learning, rows = expected.learning, expected.evaluation
    metric, budget = learning.proof_metric, learning.recipe.export.max_metric_drop
    before = expected.scores[metric]
    try:
        after = learning.scores(rows, served.row_answers)[metric]
    except ValueError:  # correlations refuse what is not a finite number
        nan = float("nan")
        return Change(metric, before, nan, nan, nan, nan, (nan, nan), 0, 0, len(rows), budget, None)
    sides = [learning.weighted(metric, rows, answers) for answers in (expected.row_answers, served.row_answers)]
    return measure_change(metric, (before, after), (sides[0], sides[1]), len(rows), budget)
