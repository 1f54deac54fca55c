"""Compares a variant with the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.proof.answer_gates import check_answers
from export.proof.answers.logit_difference import largest_of
from export.proof.answers.reference import ReferenceAnswers
from export.proof.answers.served_answers import ServedAnswers, compute_served_answers
from export.proof.checks.invariance import Invariance, measure_invariance
from export.proof.checks.reliability import measure_reliability
from export.proof.checks.sampling import Sampling, measure_sampling
from export.proof.checks.tokenizer import TokenizerComparison, compare_tokenizers
from export.proof.gate import Gate
from export.proof.gates import Evidence, Promise, check_gates
from export.proof.statistics.flips import CalibrationDrift, Flips, calibration_drift, count_flips
from export.proof.statistics.metric_change import LEVEL, MetricChange
from serving.inference.predictor import Predictor

WORST_ROWS = 10
_MAX_CHARACTERS = 200


@dataclass(frozen=True)
class Judgement:
    """``compared`` counts the rows' items and hard inputs.

    Attributes:
        answers_equal: None if the answers are no decisions.
        score, reference_score, change: None if the rows have no labels.
        teacher: the change from a student's teacher.
        gates: of the answers.
    """

    compared: int
    answers_equal: int | None
    metric: str
    score: float | None
    reference_score: float | None
    change: MetricChange | None
    teacher: MetricChange | None
    gates: list[Gate]

    @property
    def agreement(self) -> float | None:
        return None if self.answers_equal is None else self.answers_equal / self.compared

    @property
    def passed(self) -> bool:
        """Whether gates held and none failed."""
        return any(gate.passed for gate in self.gates) and not self.failures

    @property
    def drops_too_much(self) -> bool:
        """Whether the metric itself drops by more than the budget; never where none is measured."""
        return self.change is not None and not self.change.change >= -self.change.budget

    @property
    def failures(self) -> list[str]:
        return [gate.failure for gate in self.gates if gate.failed]


@dataclass(frozen=True)
class WindowCounts:
    """Of the rows' items: how many were read in several windows, and the most windows of one."""

    items: int
    in_several: int
    most: int


@dataclass(frozen=True)
class Parity(Judgement):
    """The whole proof, as in ``parity.json``; ``rows`` are test rows, and ``gates`` all of them.

    Attributes:
        cut: the changes of the parts of answers that callers may ask for.
        windows: of a task that reads long texts in windows.
    """

    variant: str
    rows: int
    hard_inputs: int
    token_ids_equal: int
    max_abs_logit_difference: float
    mean_abs_logit_difference: float
    test_sets: dict[str, MetricChange]
    cut: dict[str, MetricChange]
    flips: Flips
    calibration: CalibrationDrift | None
    reliability: dict[str, Any]
    invariance: Invariance
    tokenizer: TokenizerComparison
    sampling: Sampling | None
    windows: WindowCounts | None
    worst_rows: list[dict[str, Any]]


def judge(reference: ReferenceAnswers, predictor: Predictor, workers: int = 1) -> Judgement:
    """Only answers and the metric."""
    served = compute_served_answers(reference, predictor, workers=workers)
    return Judgement(**_figures(served), gates=check_answers(served))


def _figures(served: ServedAnswers) -> dict[str, Any]:
    change, same = served.change, served.same_answers
    return {
        "compared": len(same),
        "answers_equal": same.count(True) if served.predictor.task.decides else None,
        "metric": served.reference.training_task.proof_metric,
        "score": change.served if change else None,
        "reference_score": change.reference if change else None,
        "change": change,
        "teacher": served.teacher_change,
    }


def prove(reference: ReferenceAnswers, predictor: Predictor, promise: Promise, level: float = LEVEL) -> Parity:
    """Compare a variant's predictor with the reference on every evaluation row and hard input.

    Args:
        level: of the metric's one-sided test; of several variants that are tried, each gets its part of LEVEL.
    """
    return prove_served(compute_served_answers(reference, predictor, level), promise)


def prove_served(served: ServedAnswers, promise: Promise) -> Parity:
    """The proof of answers that are there already."""
    reference, predictor = served.reference, served.predictor
    tokenizer, invariance = compare_tokenizers(reference, predictor), measure_invariance(served)
    evidence = Evidence(served, tokenizer, invariance, measure_sampling(served))
    return Parity(
        **_figures(served),
        variant=promise.name,
        rows=len(reference.evaluation),
        hard_inputs=len(reference.items) - len(reference.row_items),
        gates=check_gates(evidence, promise),
        token_ids_equal=served.same_tokens.count(True),
        max_abs_logit_difference=largest_of(largest for largest, _ in served.differences),
        mean_abs_logit_difference=float(np.mean([mean for _, mean in served.differences])),
        test_sets=served.test_set_changes,
        cut=served.cut_changes,
        flips=count_flips(served.changed_rows, *served.correct_rows),
        calibration=calibration_drift(*judged) if (judged := served.judged_confidences) else None,
        reliability=measure_reliability(served),
        invariance=evidence.invariance,
        tokenizer=evidence.tokenizer,
        sampling=evidence.sampling,
        windows=count_windows(served),
        worst_rows=find_worst_rows(served),
    )


def count_windows(served: ServedAnswers) -> WindowCounts | None:
    if not served.predictor.task.uses_windows:
        return None
    counts = [len(each.windows) for each in served.encoded[: len(served.reference.row_items)]]
    return WindowCounts(len(counts), sum(count > 1 for count in counts), max(counts, default=0))


def find_worst_rows(served: ServedAnswers) -> list[dict[str, Any]]:
    """Different answers first, then by logit difference."""
    largest, same = [each for each, _ in served.differences], served.same_answers
    distance = np.nan_to_num(largest, nan=np.inf)
    order = sorted(range(len(largest)), key=lambda place: (same[place], -distance[place]))
    return [_describe_row(served, place) for place in order[:WORST_ROWS]]


def _describe_row(served: ServedAnswers, place: int) -> dict[str, Any]:
    decide = served.predictor.task.decision
    answers = served.reference.answers[place], served.answers[place]
    return {
        "row": place,
        "inputs": str(served.encoded[place].item)[:_MAX_CHARACTERS],
        "reference": str(answers[0])[:_MAX_CHARACTERS],
        "served": str(answers[1])[:_MAX_CHARACTERS],
        "decisions": [str(decide(answer))[:_MAX_CHARACTERS] for answer in answers],
        "answers_equal": served.same_answers[place],
        "abs_logit_difference": served.differences[place][0],
    }
