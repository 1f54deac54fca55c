"""Temperatures, scales, biases and radii: found again where they are known, and refused where they would not pay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax

from trainer.metrics.scaling import (
    LEAST_ROWS,
    LIMITS,
    conformal_radius,
    fit_platt,
    fit_span_temperature,
    fit_temperature,
)

RANDOM = np.random.default_rng(0)


def draw(rows: int, labels: int, temperature: float) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Logits, and labels that are drawn by their softmax at a temperature."""
    logits = RANDOM.normal(0, 3, (rows, labels)).astype(np.float32)
    shares = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return logits, np.minimum((shares < RANDOM.random((rows, 1))).sum(axis=1), labels - 1)


@pytest.mark.parametrize("temperature", [0.4, 0.7, 1.6, 3.0])
def test_a_temperature_is_found_again(temperature: float) -> None:
    """Over- and under-confidence alike; label smoothing makes the latter."""
    found, fit = fit_temperature(*draw(20_000, 5, temperature))
    assert found == pytest.approx(temperature, rel=0.05)
    assert fit.pays


def test_what_is_calibrated_stays() -> None:
    """A temperature near 1 either does not pay, or changes next to nothing."""
    found, _ = fit_temperature(*draw(20_000, 5, 1.0))
    assert found == pytest.approx(1, abs=0.03)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(0, 2 * LEAST_ROWS), st.integers(2, 4), st.sampled_from([0.0, 1.0, 1e6]), st.integers(0, 99))
def test_few_rows_and_any_logits_give_a_temperature_within_limits(
    rows: int, labels: int, spread: float, seed: int
) -> None:
    """All rows right or wrong, one label in a fold, zeros, huge and infinite logits; too few rows give 1."""
    random = np.random.default_rng(seed)
    logits = (spread * random.normal(size=(rows, labels))).astype(np.float32)
    logits[random.random(rows) < 0.1] = np.inf
    targets = logits.argmax(axis=1) if seed % 3 else random.integers(0, 1 + seed % labels, rows)
    found, fit = fit_temperature(logits, targets)
    assert LIMITS[0] * 0.999 <= found <= LIMITS[1] * 1.001
    assert found == 1 or (fit.rows >= LEAST_ROWS and fit.pays)
    assert (found, fit) == fit_temperature(logits, targets)


def test_rows_that_are_all_right_leave_some_doubt() -> None:
    """Without an error among 50 rows, the confidence is no more than Laplace's rule allows."""
    logits = np.tile(np.array([[2.0, 0.0]], dtype=np.float32), (50, 1))
    found, _ = fit_temperature(logits, np.zeros(50, dtype=np.intp))
    assert softmax([2 / found, 0])[0] == pytest.approx(51 / 52, abs=1e-3)


def test_scale_and_bias_are_found_again() -> None:
    """Of one label, or of an entity's log odds."""
    odds = RANDOM.normal(0, 3, 50_000)
    scale, bias, fit = fit_platt(odds, RANDOM.random(50_000) < expit(0.6 * odds - 0.8))
    assert (scale, bias) == (pytest.approx(0.6, abs=0.03), pytest.approx(-0.8, abs=0.05))
    assert fit.pays


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 99))
def test_a_scale_is_positive(rows: int, share: float, seed: int) -> None:
    """Whatever the rows, the order of scores stays: no positives, positives alone, scores that point the other way."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 5, rows) * (seed % 7)
    scale, bias, _ = fit_platt(odds, (random.random(rows) < share) ^ (odds < 0))
    assert LIMITS[0] <= scale <= LIMITS[1]
    assert math.isfinite(bias)


@pytest.mark.slow
def test_a_span_temperature_makes_the_answered_span_as_likely_as_it_is_right() -> None:
    """Spans that are right in 60 % of the rows and said to be in 95 % are said to be in about 60 %."""
    spans = [np.array([4.0, 1.0, 0.0, *RANDOM.normal(-3, 1, 5)]) for _ in range(400)]
    correct = np.arange(400) % 5 < 3
    found, fit = fit_span_temperature(spans, correct)
    said = [softmax(each / found)[0] for each in spans]
    assert np.mean(said) == pytest.approx(0.6, abs=0.02)
    assert fit.pays


def test_the_radius_is_split_conformal() -> None:
    """The ninth of nine errors covers nine tenths of ten exchangeable rows; of eight none does."""
    assert conformal_radius(np.array([-9.0, *range(1, 9)]), 0.9) == 9
    assert conformal_radius(np.arange(8.0), 0.9) is None
    inside = [
        abs(errors[-1]) <= conformal_radius(errors[:-1], 0.8)  # type: ignore[operator]
        for errors in RANDOM.normal(size=(4000, 25))
    ]
    assert 0.8 - 0.02 <= np.mean(inside) <= 0.8 + 1 / 25 + 0.02
