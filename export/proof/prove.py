"""Holds one variant against the reference, and judges."""

from __future__ import annotations

import numpy as np

from export.proof.calibration import CalibrationDrift, calibration_drift
from export.proof.gates import Promise, gates_of
from export.proof.invariance import measure_invariance
from export.proof.judge import change_of
from export.proof.logit_difference import largest_of
from export.proof.parity import Parity
from export.proof.reference_answers import ReferenceAnswers
from export.proof.served_answers import ServedAnswers, compute_served_answers
from export.proof.statistics import Flips, count_flips
from export.proof.tokenizer import compare_tokenizers
from export.proof.worst import worst_rows
from serving.inference.predictor import Predictor


def prove(expected: ReferenceAnswers, predictor: Predictor, variant: Promise) -> Parity:
    """Hold a variant against the reference on every evaluation row and hard input, as the task answers and scores."""
    served = compute_served_answers(expected, predictor)
    tokens, invariance = compare_tokenizers(expected, predictor), measure_invariance(predictor, served)
    change = change_of(served)
    return Parity(
        variant=variant.name,
        rows=len(expected.evaluation),
        hard_inputs=expected.hard,
        compared=len(expected.items),
        gates=gates_of(served, variant, tokens, invariance, change),
        token_ids_equal=served.same_tokens.count(True),
        answers_equal=served.same_answers.count(True),
        metric=change.metric,
        score=change.served,
        reference_score=change.reference,
        max_abs_logit_difference=largest_of(largest for largest, _ in served.differences),
        mean_abs_logit_difference=float(np.mean([mean for _, mean in served.differences])),
        flips=_flips(served),
        change=change,
        calibration=_calibration(served),
        invariance=invariance,
        tokenizer=tokens,
        worst_rows=worst_rows(served),
    )


def _flips(served: ServedAnswers) -> Flips:
    expected = served.expected
    ends = np.cumsum(expected.counts).tolist()
    spans = zip([0, *ends], ends, strict=False)
    changed = [False in served.same_answers[start:end] for start, end in spans]
    right = expected.training_task.is_correct
    before, after = (right(expected.evaluation, each) for each in (expected.row_answers, served.row_answers))
    return count_flips(changed, before, after)


def _calibration(served: ServedAnswers) -> CalibrationDrift | None:
    expected, training_task = served.expected, served.expected.training_task
    before, after = (training_task.confidences(each) for each in (expected.row_answers, served.row_answers))
    right = [training_task.is_correct(expected.evaluation, each) for each in (expected.row_answers, served.row_answers)]
    if before is None or after is None or right[0] is None or right[1] is None:
        return None
    return calibration_drift(before, right[0], after, right[1])
