"""A quick comparison with the checkpoint, which selects a variant before the whole proof."""

from __future__ import annotations

from dataclasses import dataclass

from export.proof.prove import Parity
from export.proof.reference_answers import ReferenceAnswers
from export.proof.served_answers import compute_served_answers
from export.proof.statistics import MetricChange
from serving.inference.predictor import Predictor

AGREEMENT = 0.99
"""Share of the inputs that must have the checkpoint's answer; one may differ even among few inputs."""


@dataclass(frozen=True)
class Judgement:
    """Some of a proof's figures under the same names, without invariance and tokenizer."""

    compared: int
    answers_equal: int
    metric: str
    score: float
    reference_score: float
    change: MetricChange


def judge(reference: ReferenceAnswers, predictor: Predictor) -> Judgement:
    """Answer every row and hard input as a server would, and compare."""
    served = compute_served_answers(reference, predictor)
    change = served.change
    return Judgement(
        compared=len(reference.items),
        answers_equal=served.same_answers.count(True),
        metric=change.metric,
        score=change.served,
        reference_score=change.reference,
        change=change,
    )


def agreement(result: Parity | Judgement) -> float:
    """The share of the inputs that have the checkpoint's answer."""
    return result.answers_equal / result.compared


def agrees(result: Parity | Judgement) -> bool:
    """Whether enough inputs have the checkpoint's answer."""
    return result.compared - result.answers_equal <= max(1, (1 - AGREEMENT) * result.compared)
