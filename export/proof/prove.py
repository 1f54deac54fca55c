"""Holds one variant against the reference, and judges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.proof.expected import ITEMS_AT_ONCE, Expected
from export.proof.parity import Gate, Parity
from export.quantize import Variant
from serving.predictor import Predictor
from serving.tasks.base import Encoded, Logits

MAX_LOGIT_DIFFERENCE = 1e-4
"""The strict gate's bound: float32 rounding stays two orders of magnitude under it."""

LARGE_LOGIT = 10.0
"""Rounding grows with what is rounded: where an input's logits pass this, as a vocabulary's do, differences are
measured in units of the largest logit over this."""

ITEMS_RUN_ALONE = 64
WORST_ROWS = 10


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


def prove(expected: Expected, predictor: Predictor, variant: Variant) -> Parity:
    """Hold a variant against the reference on every evaluation row and hard input, as the task answers and scores."""
    learning = expected.learning
    found = list(_compared(expected, predictor))
    scores = learning.scores(expected.evaluation, expected.by_row([each.served for each in found]))
    metric = learning.proof_metric
    lost = expected.scores[metric] - scores[metric]
    return Parity(
        variant=variant.name,
        rows=len(expected.evaluation),
        hard_inputs=expected.hard,
        compared=len(found),
        gates=_gates(found, variant, metric, lost, learning.recipe.export.max_accuracy_drop),
        token_ids_equal=sum(each.ids_equal for each in found),
        answers_equal=sum(each.answers_equal for each in found),
        metric=metric,
        score=scores[metric],
        reference_score=expected.scores[metric],
        max_abs_logit_difference=_largest(each.largest for each in found),
        mean_abs_logit_difference=float(np.mean([each.mean for each in found])),
        max_abs_logit_difference_alone=_largest(each.alone for each in found),
        worst_rows=_worst_rows(found),
    )


def _compared(expected: Expected, predictor: Predictor) -> Iterator[_Item]:
    """Both sides on every item, a few at a time, so that few served logits are in memory together."""
    for start in range(0, len(expected.items), ITEMS_AT_ONCE):
        ours = predictor.encode(expected.items[start : start + ITEMS_AT_ONCE])
        flat = iter(predictor.run([window for each in ours for window in each.windows]))
        results = [[next(flat) for _ in each.windows] for each in ours]
        for place, our in enumerate(zip(ours, results, strict=True), start):
            yield _item(expected, predictor, place, our)


def _item(expected: Expected, predictor: Predictor, place: int, ours: tuple[Encoded, Any]) -> _Item:
    encoded, results = ours
    decide, logits = predictor.task.decision, predictor.logits(encoded.windows, results)
    largest, mean = _difference(logits, expected.logits(place))
    served, measured = predictor.task.decode(encoded, results), expected.answers[place]
    alone = place >= len(expected.items) - ITEMS_RUN_ALONE
    return _Item(
        item=encoded.item,
        served=served,
        reference=measured,
        ids_equal=[window.ids for window in encoded.windows] == [w.ids for w in expected.encoded[place].windows],
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
