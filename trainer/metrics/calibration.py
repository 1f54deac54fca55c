"""How far scores are probabilities: a score of 0.9 should be right nine times in ten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.bootstrap import resample

BINS = 15
LEAST = 1e-15
"""A probability that counts for one of 0, so that the NLL is finite."""

Floats = NDArray[np.float64]


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> float:
    """The mean gap of confidence and accuracy over bins of equally many answers, 0 to 1.

    NaN if a confidence is not finite. Source: Guo et al. 2017, equation 3, with the bins of Nixon et al. 2019.
    """
    if not np.isfinite(confidences).all():
        return float("nan")
    values, hits = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    return float(np.abs(np.bincount(equal_mass_bins(values, bins), hits - values)).sum() / len(values))


def equal_mass_bins(values: Floats, bins: int = BINS) -> NDArray[np.intp]:
    """Each value's bin, numbered from 0 without gaps; equal values share one."""
    places = np.arange(1, bins) * len(values) // bins
    edges = np.unique(np.sort(values)[places])
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]


def calibration_error_change(
    before: Sequence[float], correct_before: Sequence[bool], after: Sequence[float], correct_after: Sequence[bool]
) -> float:
    """The error of ``after`` less that of ``before``, of the same answers in the bins of ``before``.

    With bins of their own, the errors of equal confidences but for rounding would differ by 0.01 among 150 answers.
    """
    if not np.isfinite([*before, *after]).all():
        return float("nan")
    bins = equal_mass_bins(np.asarray(before, dtype=np.float64))
    errors = []
    for confidences, correct in ((before, correct_before), (after, correct_after)):
        gaps = np.asarray(correct, dtype=np.float64) - confidences
        errors.append(float(np.abs(np.bincount(bins, gaps)).sum()) / len(bins))
    return errors[1] - errors[0]


@dataclass(frozen=True)
class Forecasts:
    """Probabilities, and what came true.

    Attributes:
        rows: how many there are.
        confidences, correct, row: [answers]: an answer's score, whether it is right, and its row's number from 0.
        nll, brier, count: [rows]: sums over a row's forecasts, and how many these are.
    """

    rows: int
    confidences: Floats
    correct: NDArray[np.bool_]
    row: NDArray[np.intp]
    nll: Floats
    brier: Floats
    count: Floats


def binary_forecasts(rows: int, answers: Sequence[tuple[int, float, bool]]) -> Forecasts:
    """Of answers (row, score, right) that are forecasts themselves."""
    row, scores, right = (
        np.array([each[part] for each in answers], dtype=kind) for part, kind in enumerate((np.intp, float, bool))
    )
    losses = (nll_of(np.where(right, scores, 1 - scores)), (scores - right) ** 2, np.ones(len(scores)))
    nll, brier, count = (np.bincount(row, loss, minlength=rows).astype(np.float64) for loss in losses)
    return Forecasts(rows, scores, right, row, nll, brier, count)


def join(parts: Sequence[Forecasts]) -> Forecasts:
    """Of the rows of one part after those of another."""
    starts = np.cumsum([0, *(part.rows for part in parts)])
    row = np.concatenate([part.row + start for part, start in zip(parts, starts[:-1], strict=True)])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("confidences", "correct", "nll", "brier", "count")
    }
    return Forecasts(int(starts[-1]), row=row, **columns)


def nll_of(probabilities: Floats) -> Floats:
    """Of what came true; finite."""
    return np.asarray(-np.log(np.maximum(probabilities, LEAST)))


def measure_both(forecasts: Mapping[str, Forecasts]) -> dict[str, dict[str, Any]]:
    """`measure` before and after calibration; empty where there are no answers, or scores that are not finite."""
    measured = {when: measure(each) for when, each in forecasts.items()}
    return measured if all(measured.values()) else {}


def measure(forecasts: Forecasts) -> dict[str, Any]:
    """ECE, Brier score and NLL, each with its 95 % interval, and the bins of the reliability diagram.

    The intervals are basic bootstrap ones (Davison and Hinkley 1997, section 5.2.1) of resampled rows: resampling adds
    to the bias of the ECE, and the basic interval takes it off again. A Brier score sums over labels (Brier 1950).
    """
    if not len(forecasts.confidences) or not np.isfinite(forecasts.confidences).all():
        return {}
    bins = equal_mass_bins(forecasts.confidences)
    cells = forecasts.row * (bins.max() + 1) + bins
    shape = forecasts.rows, int(bins.max()) + 1
    gaps, counts = (
        np.bincount(cells, values, minlength=shape[0] * shape[1]).reshape(shape)
        for values in (forecasts.correct - forecasts.confidences, np.ones(len(cells)))
    )
    parts = np.column_stack([gaps, counts.sum(axis=1), forecasts.nll, forecasts.brier, forecasts.count])
    resampled = np.concatenate([_figures(weights @ parts) for weights in resample(forecasts.rows)])
    found = _figures(parts.sum(axis=0, keepdims=True))[0]
    ends = 2 * found - np.quantile(resampled, (0.975, 0.025), axis=0)
    figures: dict[str, Any] = {"answers": len(cells)}
    for name, value, low, high in zip(("ece", "nll", "brier"), found, *np.maximum(ends, 0), strict=True):
        figures |= {name: float(value), f"{name}_interval_95": [float(low), float(high)]}
    return figures | {"bins": _bins(forecasts, bins)}


def _figures(sums: Floats) -> Floats:
    """[…, 3] from sums of gaps by bin, answers, NLL, Brier and forecasts."""
    answers, nll, brier, count = np.moveaxis(sums[:, -4:], 1, 0)
    ece = np.abs(sums[:, :-4]).sum(axis=1) / np.maximum(answers, 1)
    return np.column_stack([ece, *(each / np.maximum(count, 1) for each in (nll, brier))])


def _bins(forecasts: Forecasts, bins: NDArray[np.intp]) -> list[list[float]]:
    """Mean score, share that is right, and answers of each."""
    counts = np.bincount(bins)
    sums = (np.bincount(bins, values) for values in (forecasts.confidences, forecasts.correct))
    return [
        [score / n, right / n, int(n)]
        for score, right, n in zip(*(each.tolist() for each in (*sums, counts)), strict=True)
    ]
