"""Calibration changes scores and nothing else: every task answers what it answered before, at every threshold."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tasks.base import Encoded
from serving.tasks.multi_label_classification import MultiLabelClassification, MultiLabelSettings
from serving.tasks.question_answering import (
    QuestionAnswering,
    QuestionAnsweringParameters,
    QuestionAnsweringSettings,
)
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import (
    TokenClassification,
    TokenClassificationParameters,
    TokenClassificationSettings,
)
from tests.serving.tasks.hand_made import LIMITS, encode, tokenizer_of
from tests.trainer.conftest import rows_of, training_task
from trainer.metrics.calibration import measure
from trainer.tasks.calibration import Calibrated
from trainer.tasks.multi_label_classification import scale_labels
from trainer.tasks.text_classification import at_temperature

CLASSES, MULTI = training_task("text-classification"), training_task("multi-label-classification")
TEMPERATURES = st.floats(0.05, 20)
THRESHOLDS = st.floats(1e-6, 1 - 1e-6)


def logits(*shape: int) -> st.SearchStrategy[Any]:
    """Float32, from a graph that answers numbers."""
    return arrays.arrays(np.float32, shape, elements=st.floats(-15, 15, width=32))


def classifier(labels: int, **given: Any) -> TextClassification:
    """A task object of its own."""
    return TextClassification([f"label_{at}" for at in range(labels)], TextClassificationSettings(**given), LIMITS)


def labels_of(task: TextClassification | MultiLabelClassification, row: Any) -> list[str]:
    """The labels in the order that is answered."""
    return [each["label"] for each in task.decode(Encoded("a text", []), [row])]


@given(logits(5), TEMPERATURES)
def test_the_order_of_labels_is_that_of_the_logits(row: Any, temperature: float) -> None:
    """At every temperature, ties and all."""
    assert labels_of(classifier(5, temperature=temperature), row) == labels_of(classifier(5), row)


@given(st.booleans(), st.data(), THRESHOLDS, TEMPERATURES)
def test_a_threshold_moves_with_the_scores(one_logit: bool, data: st.DataObject, at: float, temperature: float) -> None:
    """Two labels with two logits or one: the answered one is the same."""
    row = data.draw(logits(1 if one_logit else 2))
    plain = classifier(2, one_logit=one_logit, threshold=at)
    assume(abs(plain.scores(row)[1] - at) > 1e-9)
    scaled = at_temperature(plain.settings, temperature)
    assert labels_of(classifier(2, **scaled.model_dump()), row) == labels_of(plain, row)


@given(THRESHOLDS, st.floats(0.5, 20), st.floats(0.5, 20))
def test_a_temperature_is_replaced_not_multiplied(at: float, first: float, second: float) -> None:
    """A variant that is calibrated anew starts from the uncalibrated threshold."""
    plain = TextClassificationSettings(threshold=at)
    twice = at_temperature(at_temperature(plain, first), second)
    once = at_temperature(plain, second)
    assert (twice.temperature, twice.threshold) == (once.temperature, pytest.approx(once.threshold, rel=1e-6))  # type: ignore[attr-defined]


def test_none_gives_the_logits_themselves() -> None:
    """`function_to_apply: none` knows no temperature."""
    task = classifier(3, temperature=0.5)
    row = np.array([1, 3, 2], dtype=np.float32)
    assert task.scores(row, "none").tolist() == [1, 3, 2]
    assert task.scores(row).max() > classifier(3).scores(row).max()


@pytest.mark.parametrize("one_logit", [False, True])
def test_under_confident_logits_are_calibrated(one_logit: bool) -> None:
    """Labels drawn at temperature 0.5: the calibration error falls, and the proper scores with it."""
    random = np.random.default_rng(0)
    gap = random.normal(0, 2, 2000).astype(np.float32)
    second = random.random(2000) < 1 / (1 + np.exp(-gap / 0.5))
    rows = rows_of(*((f"text {at}", f"label_{int(each)}") for at, each in enumerate(second)))
    values = [[np.array([each] if one_logit else [0, each], dtype=np.float32)] for each in gap]
    task = classifier(2, one_logit=one_logit, threshold=0.4)
    found = CLASSES.calibrate(task, [], values, rows)
    assert found is not None
    assert found.kept
    after = measured(found, values, rows)
    before = measured(Calibrated(task.settings, kept=False), values, rows)
    assert after["ece"] < before["ece"] / 2
    assert after["nll_interval_95"][1] < before["nll_interval_95"][0]
    assert after["brier"] < before["brier"]
    assert CLASSES.without_calibration(found.settings).threshold == pytest.approx(0.4)  # type: ignore[attr-defined]


def measured(found: Calibrated, values: Any, rows: Any) -> dict[str, Any]:
    """The figures of two labels under these settings."""
    forecasts = CLASSES.forecasts(classifier(2, **found.settings.model_dump()), [], values, rows)
    assert forecasts
    return measure(forecasts)


SCALES = st.lists(st.floats(0.05, 20), min_size=4, max_size=4)
BIASES = st.lists(st.floats(-3, 3), min_size=4, max_size=4)


def several(**given: Any) -> MultiLabelClassification:
    """Of four labels."""
    return MultiLabelClassification(list("abcd"), MultiLabelSettings(**given), LIMITS)


@pytest.mark.slow
@given(logits(4), st.lists(THRESHOLDS, min_size=4, max_size=4), SCALES, BIASES)
def test_the_labels_of_a_row_stay(row: Any, thresholds: list[float], scales: list[float], biases: list[float]) -> None:
    """Every label passes its own threshold on the calibrated scale where it did on the model's."""
    plain = several(thresholds=thresholds)
    scaled = several(**scale_labels(plain.settings, scales, biases).model_dump())
    assume((np.abs(plain.probabilities(row) - thresholds) > 1e-9).all())
    assume((scaled.probabilities(row) < 1).all())
    assert set(labels_of(scaled, row)) == set(labels_of(plain, row))
    back = scale_labels(scaled.settings, [], [])
    assert set(labels_of(several(**back.model_dump()), row)) == set(labels_of(plain, row))


def test_a_label_with_few_positives_shares_a_fit() -> None:
    """Over-confident labels get scales of their own, rare ones the same; scores become right on average."""
    random, labels = np.random.default_rng(0), list("abcd")
    values = random.normal(-1, 3, (2000, 4)).astype(np.float32)
    values[:, 2:] -= 6
    truth = random.random(values.shape) < 1 / (1 + np.exp(-values / 2))
    truth[60:, 2:] = False
    rows = rows_of(*((f"text {at}", [labels[n] for n in np.flatnonzero(row)]) for at, row in enumerate(truth)))
    found = MULTI.calibrate(several(thresholds=[0.5] * 4), [], [[row] for row in values], rows)
    assert found is not None
    settings: Any = found.settings
    assert settings.scales[:2] == pytest.approx([0.5, 0.5], abs=0.1)
    assert settings.scales[2] == settings.scales[3]
    means = np.mean([several(**settings.model_dump()).probabilities(row) for row in values], axis=0)
    assert means[:2] == pytest.approx(truth[:, :2].mean(axis=0), abs=0.01)


TEXT = "Ada Lovelace flew from London to Kyoto and wrote from Graz"
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), st.floats(0.05, 20), st.floats(-5, 5), st.sampled_from(["none", "simple", "first", "average", "max"]))
def test_entities_stay(data: st.DataObject, scale: float, bias: float, strategy: Any) -> None:
    """Under every strategy: only their scores change, and in the same order."""
    plain, scaled = (
        TokenClassification(TAGS, TokenClassificationSettings(**given), LIMITS)
        for given in ({}, {"scale": scale, "bias": bias})
    )
    encoded = encode(tokenizer_of("BERT", plain), plain, TEXT)
    row = data.draw(logits(len(encoded.windows[0].ids), len(TAGS)))
    parameters = TokenClassificationParameters(aggregation_strategy=strategy)
    before, after = (task.decode(encoded, [row], parameters) for task in (plain, scaled))
    unscored = [[{**entity, "score": 0} for entity in answer] for answer in (before, after)]
    assert unscored[0] == unscored[1]
    for left, right in product(range(len(before)), repeat=2):
        if before[left]["score"] < before[right]["score"]:
            assert after[left]["score"] <= after[right]["score"]


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), TEMPERATURES, st.sampled_from([None, -2.0, 0.0, 3.0]), st.booleans())
def test_answers_stay(data: st.DataObject, temperature: float, threshold: float | None, allowed: bool) -> None:
    """The best passages and "no answer" are ranked as before; no threshold of logits moves."""
    given = {"stride": 0, "max_length": 64, "no_answer_threshold": threshold}
    plain, scaled = (
        QuestionAnswering([], QuestionAnsweringSettings(**given, temperature=each), LIMITS)
        for each in (1.0, temperature)
    )
    encoded = encode(tokenizer_of("BERT", plain, 64), plain, ("where is it?", TEXT))
    row = data.draw(logits(len(encoded.windows[0].ids), 2))
    parameters = QuestionAnsweringParameters(top_k=20, handle_impossible_answer=allowed or None)
    before, after = (task.decode(encoded, [row], parameters) for task in (plain, scaled))
    assert [(each["start"], each["end"]) for each in before] == [(each["start"], each["end"]) for each in after]


def test_an_interval_covers_what_it_says() -> None:
    """Radius and coverage go into the answer; a recipe says another coverage; too few rows give no interval."""
    random = np.random.default_rng(0)
    rows = rows_of(*((f"text {at}", float(each)) for at, each in enumerate(random.normal(100, 10, 999))))
    values = [
        [np.array([(each - 100) / 10 + error], dtype=np.float32)]
        for each, error in zip(rows.targets, random.normal(0, 0.3, 999), strict=True)
    ]
    task = Regression(["grams"], RegressionSettings(mean=100, std=10), LIMITS)
    for coverage in (None, 0.5):
        training = training_task("regression", model_head={"interval_coverage": coverage})
        found = training.calibrate(task, [Encoded("a text", [])] * 999, values, rows)
        assert found is not None
        calibrated = Regression(["grams"], found.settings, LIMITS)
        answers = [calibrated.decode(Encoded("a text", []), each) for each in values]
        assert training.metrics(rows, answers)["coverage"] == pytest.approx(coverage or 0.9, abs=0.002)
        assert answers[0][0]["high"] - answers[0][0]["score"] == pytest.approx(found.settings.radius)  # type: ignore[attr-defined]
        assert "low" not in training.uncalibrated(calibrated).decode(Encoded("a text", []), values[0])[0]
    few = training_task("regression").calibrate(task, [Encoded("a text", [])] * 8, values[:8], rows.take(range(8)))
    assert few is not None
    assert few.settings.radius is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("task", ["feature-extraction", "text-generation", "text2text-generation"])
def test_answers_without_probabilities_are_left_alone(task: str) -> None:
    """Vectors and generated texts have nothing to calibrate."""
    assert not training_task(task).calibrates
