"""Scores made probabilities on validation rows: one temperature, or a scale and a bias; and an interval's radius.

Temperatures are Guo et al. 2017's, scale and bias Platt 1999's, with a pseudo-observation against overfitting, so that
rows which are all right leave a temperature finite. Cross-fitting tells whether a fit pays on rows that it did not see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp, softmax

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
F = TypeVar("F")

FOLDS, SEED = 5, 0
LEAST_ROWS = 20
"""Fewer say nothing that can be checked."""

LIMITS = 0.05, 20.0
"""Of temperatures and scales."""

_ELEMENTS = 2**21  # of logits in float64 at once
_STEPS, _CLOSE = 100, 1e-7


@dataclass(frozen=True)
class CrossFit:
    """Mean negative log-likelihood of all rows as they are, and of each fold as fitted to the others; None: too few."""

    rows: int
    before: float | None = None
    after: float | None = None

    @property
    def pays(self) -> bool:
        return self.before is not None and self.after is not None and self.after < self.before


def cross_fit(rows: int, fit: Callable[[Indices], F], loss: Callable[[F | None, Indices], Floats]) -> CrossFit:
    """``loss`` gives each row's under a fit, or without one; folds are drawn by SEED."""
    if rows < LEAST_ROWS:
        return CrossFit(rows)
    order = np.random.default_rng(SEED).permutation(rows)
    after = [loss(fit(np.setdiff1d(order, fold)), np.sort(fold)) for fold in np.array_split(order, FOLDS)]
    return CrossFit(rows, float(loss(None, np.arange(rows)).mean()), float(np.concatenate(after).mean()))


def fit_temperature(logits: NDArray[np.float32], targets: Indices) -> tuple[float, CrossFit]:
    """The temperature with the least NLL of logits [rows, labels] and label numbers [rows]; 1 if it does not pay.

    Newton's method on its inverse, in which the loss is convex; bisection where a step leaves the bracket.
    """
    finite = np.isfinite(logits).all(axis=1)
    logits, targets = (logits, targets) if finite.all() else (logits[finite], targets[finite])
    every = _newton(logits, targets, np.arange(len(logits)), 1.0) if len(logits) else 1.0

    def fit(rows: Indices) -> float:
        return _newton(logits, targets, rows, every)

    def loss(temperature: float | None, rows: Indices) -> Floats:
        parts = [
            -log_softmax(block / (temperature or 1.0), axis=1)[np.arange(len(block)), targets[at]]
            for at, block in _blocks(logits, rows)
        ]
        return np.concatenate(parts)

    checked = cross_fit(len(logits), fit, loss)
    return (every if checked.pays else 1.0), checked


def fit_platt(odds: Floats, truth: NDArray[np.bool_]) -> tuple[float, float, CrossFit]:
    """Scale and bias of log odds [n] with the least NLL; 1 and 0 if that does not pay."""
    finite = np.isfinite(odds)
    odds, truth = odds[finite], truth[finite]

    def fit(rows: Indices) -> tuple[float, float]:
        return _platt(odds[rows], truth[rows])

    def loss(found: tuple[float, float] | None, rows: Indices) -> Floats:
        scale, bias = found or (1.0, 0.0)
        return binary_loss(scale * odds[rows] + bias, truth[rows])

    checked = cross_fit(len(odds), fit, loss)
    scale, bias = fit(np.arange(len(odds))) if checked.pays else (1.0, 0.0)
    return scale, bias, checked


def fit_labels(
    odds: NDArray[np.float32], truth: NDArray[np.bool_], min_positives: int
) -> list[tuple[float, float, CrossFit]]:
    """`fit_platt` for each label of logits [rows, labels]; labels with fewer positives share one fit."""
    own = truth.sum(axis=0) >= min_positives
    shared = fit_platt(*_sample_pairs(odds[:, ~own], truth[:, ~own]))
    return [
        fit_platt(odds[:, at].astype(np.float64), truth[:, at]) if is_own else shared for at, is_own in enumerate(own)
    ]


def _sample_pairs(odds: NDArray[np.float32], truth: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Few enough for memory, drawn by SEED."""
    most = min(_ELEMENTS, odds.size)
    places = np.arange(odds.size) if most == odds.size else np.random.default_rng(SEED).integers(0, odds.size, most)
    return odds.reshape(-1)[places].astype(np.float64), truth.reshape(-1)[places]


def mean_fit(fits: Sequence[CrossFit]) -> CrossFit:
    """Of labels: those whose fit does not pay stay as they are."""
    checked = [(fit.before, fit.after if fit.pays else fit.before) for fit in fits if fit.before is not None]
    rows = max(fit.rows for fit in fits)
    return CrossFit(rows, *(float(np.mean(side)) for side in zip(*checked, strict=True))) if checked else CrossFit(rows)


def fit_span_temperature(spans: list[Floats], correct: NDArray[np.bool_]) -> tuple[float, CrossFit]:
    """The temperature of span logits, answered one first, under which its softmax is the probability to be right."""
    several = np.array([len(each) > 1 and bool(np.isfinite(each).all()) for each in spans], dtype=np.bool_)
    spans, correct = [spans[at] for at in np.flatnonzero(several)], correct[several]

    def odds(temperature: float, rows: Indices) -> Floats:
        return np.array([_first_odds(spans[row] / temperature) for row in rows])

    def fit(rows: Indices) -> float:
        targets = _targets(correct[rows])
        grid = np.geomspace(*LIMITS, 25)
        losses = [float(_soft_loss(odds(each, rows), targets).mean()) for each in grid]
        best = int(np.argmin(losses))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = minimize_scalar(
            lambda log: float(_soft_loss(odds(math.exp(log), rows), targets).mean()),
            bounds=(math.log(low), math.log(high)),
            method="bounded",
        )
        return math.exp(found.x)

    def loss(temperature: float | None, rows: Indices) -> Floats:
        return binary_loss(odds(temperature or 1.0, rows), correct[rows])

    checked = cross_fit(len(spans), fit, loss)
    return (fit(np.arange(len(spans))) if checked.pays else 1.0), checked


def conformal_radius(errors: Floats, coverage: float) -> float | None:
    """Of an interval that has a new row's number with probability ``coverage``; None if the rows are too few for it.

    Split conformal prediction: the ceil((n + 1) * coverage)-th smallest absolute error (Lei et al. 2018).
    """
    place = math.ceil((len(errors) + 1) * coverage)
    return float(np.sort(np.abs(errors))[place - 1]) if place <= len(errors) and np.isfinite(errors).all() else None


def binary_loss(odds: Floats, truth: NDArray[np.bool_]) -> Floats:
    return _soft_loss(odds, truth.astype(np.float64))


def _soft_loss(odds: Floats, targets: Floats) -> Floats:
    return np.asarray(np.logaddexp(0, odds) - targets * odds)


def _targets(truth: NDArray[np.bool_]) -> Floats:
    """Platt's: Laplace's rule of succession for both kinds."""
    positives = int(truth.sum())
    return np.where(truth, (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2))


def _first_odds(logits: Floats) -> float:
    """The log odds of the first under softmax."""
    return float(logits[0] - logsumexp(logits[1:]))


def _newton(logits: NDArray[np.float32], targets: Indices, rows: Indices, start: float) -> float:
    wanted = _expected_logit(logits, targets, rows)
    low, high = 1 / LIMITS[1], 1 / LIMITS[0]
    inverse = float(np.clip(1 / start, low, high))
    for _ in range(_STEPS):
        slope, curvature = _derivatives(logits, rows, inverse)
        slope -= wanted
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else inverse
        following = step if low < step < high else (low * high) ** 0.5
        if slope == 0 or abs(following - inverse) < _CLOSE * inverse:
            break
        inverse = following
    return 1 / inverse


def _derivatives(logits: NDArray[np.float32], rows: Indices, inverse: float) -> tuple[float, float]:
    """Of the mean log partition: mean and variance of the logits under softmax."""
    first = second = 0.0
    for _, block in _blocks(logits, rows):
        p = softmax(block * inverse, axis=1)
        mean = (p * block).sum(axis=1)
        first += float(mean.sum())
        second += float(((p * block * block).sum(axis=1) - mean**2).sum())
    return first / len(rows), second / len(rows)


def _expected_logit(logits: NDArray[np.float32], targets: Indices, rows: Indices) -> float:
    """The mean of the right labels' logits, less one pseudo-row in which the next best label is right."""
    total, share = 0.0, 1 / (len(rows) + 2)
    for at, block in _blocks(logits, rows):
        right = block[np.arange(len(block)), targets[at]].copy()
        block[np.arange(len(block)), targets[at]] = -np.inf
        total += float(((1 - share) * right + share * block.max(axis=1)).sum())
    return total / len(rows)


def _blocks(logits: NDArray[np.float32], rows: Indices) -> Iterator[tuple[Indices, Floats]]:
    """Rows and their logits less each row's largest, few enough at once."""
    size = max(1, _ELEMENTS // logits.shape[1])
    for start in range(0, len(rows), size):
        at = rows[start : start + size]
        block = logits[at].astype(np.float64)
        yield at, block - block.max(axis=1, keepdims=True)


def _platt(odds: Floats, truth: NDArray[np.bool_]) -> tuple[float, float]:
    targets = _targets(truth)

    def loss(found: Floats) -> tuple[float, Floats]:
        scaled = found[0] * odds + found[1]
        error = expit(scaled) - targets
        return float(_soft_loss(scaled, targets).mean()), np.array([(error * odds).mean(), error.mean()])

    bounds = [LIMITS, (None, None)]
    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}).x
    return float(found[0]), float(found[1])
