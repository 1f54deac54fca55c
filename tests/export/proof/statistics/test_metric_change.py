"""The change of a metric by which an approximate variant is judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from export.proof.statistics.metric_change import ChangedAnswers, MetricChange, measure_change, unmeasured_change
from trainer.metrics.resampling import WeightedMetric, f1_of, indicators, mean_of, pearson_of, spearman_of


def change_of(lost: int, won: int, rows: int, budget: float = 0.005, level: float = 0.025) -> MetricChange:
    before = np.ones(rows)
    before[:won] = 0
    after = np.ones(rows)
    after[rows - lost :] = 0
    scores = float(before.mean()), float(after.mean())
    return measure_change("accuracy", scores, (mean_of(before), mean_of(after)), budget, level)


def change_between(metric: str, before: WeightedMetric, after: WeightedMetric, budget: float) -> MetricChange:
    weights = np.ones((1, before.rows))
    return measure_change(metric, (float(before(weights)[0]), float(after(weights)[0])), (before, after), budget)


def labelled(rows: int, classes: int) -> list[str]:
    return [str(at % classes) for at in range(rows)]


def macro_f1(expected: list[str], answered: list[str]) -> WeightedMetric:
    classes = sorted(set(expected))
    sides = [indicators([[label] for label in side], classes) for side in (expected, answered)]
    return f1_of(sides[0] * sides[1], sides[1], sides[0], "macro")


def test_the_interval_is_that_of_paired_rows() -> None:
    """30 lost and 20 won of 10,000: the change and about 1.96 standard errors of a difference of paired shares."""
    change = change_of(lost=30, won=20, rows=10_000)
    error = np.sqrt(50 / 10_000 - 0.001**2) / 100
    assert change.change == pytest.approx(-0.001)
    assert (change.low, change.high) == pytest.approx((-0.001 - 1.96 * error, -0.001 + 1.96 * error), abs=1.5e-4)
    assert change.within_budget


def test_no_flip_is_no_certainty() -> None:
    """Where no answer changes, the interval is not empty, and the score's interval is Clopper's and Pearson's."""
    change = change_of(lost=0, won=0, rows=150)
    assert not change.within_budget
    assert change.low == pytest.approx(-(1 - 0.025 ** (1 / 150)), rel=1e-3)
    assert change.high == pytest.approx(1 - 0.025 ** (1 / 150), rel=1e-3)
    assert change.served_interval == pytest.approx((0.025 ** (1 / 150), 1))
    assert change_of(lost=0, won=0, rows=736).within_budget


def test_a_stricter_level_needs_more_rows() -> None:
    """Of five variants that are tried each has a fifth of the level: 1,058 rows without a loss in place of 736."""
    assert change_of(0, 0, 736, level=0.025).within_budget
    assert not change_of(0, 0, 1057, level=0.005).within_budget
    assert change_of(0, 0, 1058, level=0.005).within_budget


def test_too_few_rows_say_how_many_are_needed() -> None:
    """With the stated number of rows, the same rates are within the budget; without a loss, 736 rows are enough."""
    few = change_of(lost=1, won=0, rows=400)
    assert not few.within_budget
    assert few.rows_needed is not None
    assert few.rows_needed_without_loss == 736
    times = -(-few.rows_needed // 400) + 1
    assert change_of(lost=times, won=0, rows=400 * times).within_budget


def test_a_change_past_the_budget_has_no_number_of_rows() -> None:
    """A score that falls by more than the budget may be chance in few rows; in many rows it is certain."""
    few, many = change_of(lost=1, won=0, rows=100), change_of(lost=40, won=0, rows=2000)
    assert few.rows_needed is many.rows_needed is None
    assert not few.loses_too_much
    assert many.loses_too_much


def test_the_further_row_of_a_mean_gives_gaffkes_bound() -> None:
    """Of zeros and ones it is Clopper's and Pearson's limit: 3 rows of 500 lost, within the resampling's error."""
    before, after = np.ones(500), np.ones(500)
    after[:3] = 0
    change = change_between("f1", mean_of(before), mean_of(after), 0.005)
    assert -change.low == pytest.approx(beta.isf(0.025, 4, 497), rel=0.1)


def test_the_same_rows_give_the_same_interval() -> None:
    """The resampling is seeded."""
    before, after = np.linspace(0.5, 1, 90), np.linspace(0.4, 1, 90)
    first, second = (change_between("f1", mean_of(before), mean_of(after), 0.005) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("rows", [20, 100, 300])
def test_unchanged_answers_of_few_rows_do_not_pass(rows: int) -> None:
    """For no metric; and the stated number of such rows would pass."""
    labels = labelled(rows, 4)
    numbers = np.random.default_rng(0).normal(size=rows)
    near = numbers + 0.3 * np.random.default_rng(1).normal(size=rows)
    sides: dict[str, WeightedMetric] = {
        "macro_f1": macro_f1(labels, [*labels[:-2], *labels[:2]]),
        "f1": mean_of(np.full(rows, 0.8)),
        "pearson": pearson_of(numbers, near),
        "spearman": spearman_of(numbers, near),
    }
    for metric, side in sides.items():
        change = change_between(metric, side, side, 0.005)
        assert change.low < -0.005 < 0 < change.high, metric
        assert change.rows_needed_without_loss is not None
        assert change.rows_needed_without_loss > rows


@pytest.mark.slow
def test_the_stated_number_of_unchanged_rows_passes() -> None:
    """Macro-F1: as many rows as the message says, all unchanged, are enough, and a tenth less are not."""
    few = change_between(
        "macro_f1", macro_f1(labelled(40, 4), labelled(40, 4)), macro_f1(labelled(40, 4), labelled(40, 4)), 0.005
    )
    assert few.rows_needed_without_loss is not None
    for factor, passes in ((1.1, True), (0.9, False)):
        side = macro_f1(*2 * [labelled(round(factor * few.rows_needed_without_loss), 4)])
        assert change_between("macro_f1", side, side, 0.005).within_budget is passes


@pytest.mark.slow
def test_the_rarest_label_decides_macro_f1() -> None:
    """One row of a label with few rows costs more than one of a frequent label: more rows are needed."""
    even = macro_f1(*2 * [labelled(1000, 4)])
    uneven = macro_f1(*2 * [[*labelled(1000, 4), *["rare"] * 5]])
    needed = [change_between("macro_f1", side, side, 0.005).rows_needed_without_loss for side in (even, uneven)]
    assert all(needed)
    assert 10 * (needed[0] or 0) < (needed[1] or 0)


@pytest.mark.slow
def test_the_longest_row_decides_entity_f1() -> None:
    """A row of six entities may be lost as a whole."""
    counts = np.array([[1.0]] * 500 + [[6.0]])
    row_of_one, row_of_six = (
        f1_of(counts[:-1], counts[:-1], counts[:-1], "micro"),
        f1_of(counts, counts, counts, "micro"),
    )
    one, six = (change_between("f1", side, side, 0.005).rows_needed_without_loss for side in (row_of_one, row_of_six))
    assert one is not None
    assert six is not None
    assert 5 * one < six < 7 * one


def test_a_score_without_a_number_is_no_pass() -> None:
    """NaN compares as false."""
    change = unmeasured_change("pearson", 0.9, 10, 0.005)
    assert not change.within_budget
    assert not change.loses_too_much
    assert (change.metric, change.reference, change.rows, change.budget, change.level) == (
        "pearson", 0.9, 10, 0.005, 0.025,
    )  # fmt: skip
    assert change.test == "none: the served answers cannot be scored"
    numbers = (change.served, change.floor, change.change, change.low, change.high, *change.served_interval)
    assert all(map(math.isnan, numbers))
    needed = (change.rows_needed, change.rows_needed_without_loss, change.unlabelled_rows_needed, change.unlabelled)
    assert needed == (None, None, None, None)
    assert unmeasured_change("pearson", 0.9, 10, 0.005, 0.001).level == 0.001


def test_a_change_says_what_it_is_of() -> None:
    """Both scores, the floor, the budget, the level, the rows and the test's name."""
    sides = mean_of([1.0] * 99 + [0.0]), mean_of([1.0] * 98 + [0.0] * 2)
    change = measure_change("accuracy", (0.99, 0.98), sides, 0.05, 0.01, 0.5)
    assert (change.metric, change.reference, change.served, change.floor) == ("accuracy", 0.99, 0.98, 0.5)
    assert (change.change, change.level, change.rows, change.budget) == (pytest.approx(-0.01), 0.01, 100, 0.05)
    assert change.test == "exact unconditional test of paired shares of rows"
    assert change.unlabelled is None
    assert change.unlabelled_rows_needed == math.ceil(math.log(0.005) / math.log(0.95))
    assert change.served_interval == pytest.approx((beta.ppf(0.01, 98, 3), beta.isf(0.01, 99, 2)))
    other = measure_change("macro_f1", (1.0, 1.0), (macro_f1(["a", "b"], ["a", "b"]),) * 2, 0.005)
    assert other.test == "Dirichlet weights of the rows and one further, lost row"
    assert other.unlabelled_rows_needed is None
    assert (other.floor, other.level) == (0.0, 0.025)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_rows_without_labels_take_half_of_the_level(metric: str) -> None:
    """With none of 2,000 changed the drop is below their limit, whatever the few labelled rows allow."""
    sides = mean_of([1.0] * 20), mean_of([1.0] * 20)
    unlabelled = ChangedAnswers("texts", "hash", 2000, 2000, 0)
    change = measure_change(metric, (1.0, 1.0), sides, 0.005, 0.05, unlabelled=unlabelled)
    limit = 1 - 0.025 ** (1 / 2000)
    assert (change.low, change.high) == pytest.approx((-limit, limit), rel=1e-2)
    assert change.within_budget
    assert change.unlabelled == unlabelled
    assert change.test.endswith(
        ", within the exact limit of the share of changed answers on unlabelled rows, at half of the level each"
    )
    alone = measure_change(metric, (1.0, 1.0), sides, 0.005, 0.025)
    assert change.rows_needed_without_loss == alone.rows_needed_without_loss
    assert change.served_interval == alone.served_interval


@pytest.mark.slow
def test_a_change_near_the_budget_needs_more_rows_than_there_are() -> None:
    """More than 4,096 times as many are no help; a quarter of the budget needs a number within its rounding."""
    assert change_of(lost=4, won=0, rows=1000, budget=0.00401).rows_needed is None
    few = change_of(lost=1, won=0, rows=1000, budget=0.004)
    assert few.rows_needed is not None
    for factor, passes in ((1.06, True), (0.5, False)):
        rows = few.rows_needed * factor
        assert change_of(round(rows / 1000 + (0.5 if passes else 0)), 0, round(rows), 0.004).within_budget is passes
    means = mean_of([1.0] * 95 + [0.5] * 5), mean_of([1.0] * 94 + [0.5] * 6)
    other = measure_change("f1", (0.975, 0.97), means, 0.02)
    assert other.rows_needed is not None
    assert 2 * 100 < other.rows_needed < 8 * 100
