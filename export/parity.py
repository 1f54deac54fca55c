"""The proof: does what will be served answer as what was trained and evaluated?

The reference is independent (transformers' tokenizer, the torch checkpoint); the candidate is serving's own predictor
on the bundle's own files, with production settings. Every row of the evaluation set and every hard input is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from export.hard_inputs import hard_items
from export.quantize import Variant
from export.reference import Reference
from serving.predictor import Predictor
from serving.tasks.base import Encoded, Logits
from trainer.rows import Rows
from trainer.tasks.base import Learning

MAX_LOGIT_DIFFERENCE = 1e-4
"""The strict gate's bound: float32 rounding stays two orders of magnitude under it."""

LARGE_LOGIT = 10.0
"""Rounding grows with what is rounded: where an input's logits pass this, as a vocabulary's do, differences are
measured in units of the largest logit over this."""

ITEMS_RUN_ALONE = 64
ITEMS_AT_ONCE = 256
WORST_ROWS = 10


@dataclass(frozen=True)
class Gate:
    """One condition of the proof, what was measured and what is accepted."""

    name: str
    passed: bool
    measured: float
    accepted: str


@dataclass(frozen=True)
class Parity:
    """Every figure of a proof; ``parity.json`` is this. Rows are those of the test set, inputs what they ask."""

    variant: str
    rows: int
    hard_inputs: int
    compared: int = field(metadata={"means": "inputs of the rows, and hard inputs"})
    gates: list[Gate]
    token_ids_equal: int
    answers_equal: int
    metric: str
    score: float
    reference_score: float
    max_abs_logit_difference: float
    mean_abs_logit_difference: float
    max_abs_logit_difference_alone: float
    worst_rows: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    @property
    def failures(self) -> list[str]:
        """One readable line for each gate that does not hold."""
        return [
            f"{gate.name}: measured {gate.measured:.6g}, accepted {gate.accepted}"
            for gate in self.gates
            if not gate.passed
        ]


@dataclass(frozen=True)
class _Item:
    """Both sides on one item."""

    item: Any
    served: Any
    reference: Any
    ids_equal: bool
    answers_equal: bool
    largest: float
    mean: float
    alone: float


def prove(reference: Reference, predictor: Predictor, learning: Learning, evaluation: Rows, variant: Variant) -> Parity:
    """Compare both sides on the evaluation rows and the hard inputs, as the recipe's task answers and scores them."""
    per_row = [learning.items(predictor.task, inputs) for inputs in evaluation.inputs]
    items = [item for some in per_row for item in some]
    hard = hard_items(predictor)
    found = list(_compared(reference, predictor, [*items, *hard]))
    counts = [len(some) for some in per_row]
    score = learning.scores(evaluation, _by_row(learning, [each.served for each in found], counts))
    reference_score = learning.scores(evaluation, _by_row(learning, [each.reference for each in found], counts))
    metric = learning.proof_metric
    lost = reference_score[metric] - score[metric]
    return Parity(
        variant=variant.name,
        rows=len(evaluation),
        hard_inputs=len(hard),
        compared=len(found),
        gates=_gates(found, variant, metric, lost, learning.recipe.export.max_accuracy_drop),
        token_ids_equal=sum(each.ids_equal for each in found),
        answers_equal=sum(each.answers_equal for each in found),
        metric=metric,
        score=score[metric],
        reference_score=reference_score[metric],
        max_abs_logit_difference=_largest(each.largest for each in found),
        mean_abs_logit_difference=float(np.mean([each.mean for each in found])),
        max_abs_logit_difference_alone=_largest(each.alone for each in found),
        worst_rows=_worst_rows(found),
    )


def _compared(reference: Reference, predictor: Predictor, items: Sequence[Any]) -> Iterator[_Item]:
    """Both sides on every item, a few at a time, so that few logits are in memory together."""
    for start in range(0, len(items), ITEMS_AT_ONCE):
        part = items[start : start + ITEMS_AT_ONCE]
        theirs = reference.encode(part)
        ours = predictor.encode(part)
        flat = iter(predictor.run([window for each in ours for window in each.windows]))
        results = [[next(flat) for _ in each.windows] for each in ours]
        last = len(items) - start - ITEMS_RUN_ALONE
        sides = zip(ours, results, theirs, reference.run(theirs), strict=True)
        for place, (our, result, their, expected) in enumerate(sides):
            yield _item(reference, predictor, (our, result), (their, expected), alone=place >= last)


def _item(
    reference: Reference, predictor: Predictor, ours: tuple[Encoded, Any], theirs: tuple[Encoded, Any], alone: bool
) -> _Item:
    encoded, results = ours
    decide, logits = predictor.task.decision, predictor.logits(encoded.windows, results)
    largest, mean = _difference(logits, reference.logits(*theirs))
    served, measured = predictor.task.decode(encoded, results), reference.task.decode(*theirs)
    return _Item(
        item=encoded.item,
        served=served,
        reference=measured,
        ids_equal=[window.ids for window in encoded.windows] == [window.ids for window in theirs[0].windows],
        answers_equal=decide(served) == decide(measured),
        largest=largest,
        mean=mean,
        alone=_difference(_alone(predictor, encoded), logits)[0] if alone else 0.0,
    )


def _alone(predictor: Predictor, encoded: Encoded) -> list[Logits]:
    return predictor.logits(encoded.windows, predictor.run(encoded.windows))


def _difference(ours: Sequence[Logits], theirs: Sequence[Logits]) -> tuple[float, float]:
    """The largest and the mean absolute difference of an item's logits; infinite where they do not even fit.

    Where one side generated more tokens than the other, those that both have are compared.
    """
    if [each.shape[1:] for each in ours] != [each.shape[1:] for each in theirs]:
        return float("inf"), float("inf")
    both = [min(len(a), len(b)) for a, b in zip(ours, theirs, strict=True)]
    ours, theirs = ([each[:n] for each, n in zip(side, both, strict=True)] for side in (ours, theirs))
    unit = np.max([1.0, *(np.abs(each).max() / LARGE_LOGIT for each in theirs)])
    gaps = [np.abs(a - b, dtype=np.float64) / unit for a, b in zip(ours, theirs, strict=True)]
    return _largest(gap.max() for gap in gaps), float(np.mean([gap.mean() for gap in gaps]))


def _largest(values: Iterable[float]) -> float:
    """The largest value, and no number where one of them is none: Python's own max would pass over it."""
    return float(np.max(list(values)))


def _by_row(learning: Learning, answers: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """The answer to each row, from those to its items; the hard inputs behind them belong to no row."""
    some = iter(answers)
    return [learning.answer([next(some) for _ in range(count)]) for count in counts]


def _gates(found: Sequence[_Item], variant: Variant, metric: str, lost: float, budget: float) -> list[Gate]:
    different_ids = sum(not each.ids_equal for each in found)
    different_answers = sum(not each.answers_equal for each in found)
    largest, alone = _largest(each.largest for each in found), _largest(each.alone for each in found)
    gates = [
        Gate("inputs whose token ids differ", different_ids == 0, different_ids, "0"),
        Gate("logit change by batch neighbours", alone <= MAX_LOGIT_DIFFERENCE, alone, f"≤ {MAX_LOGIT_DIFFERENCE}"),
    ]
    if variant.exact:
        return [
            *gates,
            Gate("largest logit difference", largest <= MAX_LOGIT_DIFFERENCE, largest, f"≤ {MAX_LOGIT_DIFFERENCE}"),
            Gate("inputs whose answer differs", different_answers == 0, different_answers, "0"),
        ]
    return [*gates, Gate(f"{metric.replace('_', ' ')} lost", lost <= budget, lost, f"≤ {budget}")]


def _worst_rows(found: Sequence[_Item]) -> list[dict[str, Any]]:
    worst = sorted(range(len(found)), key=lambda row: -found[row].largest)[:WORST_ROWS]
    return [
        {
            "row": row,
            "inputs": str(found[row].item)[:200],
            "reference": str(found[row].reference)[:200],
            "served": str(found[row].served)[:200],
            "abs_logit_difference": found[row].largest,
        }
        for row in worst
    ]
