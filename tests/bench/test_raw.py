"""The bare runtime answers as the predictor does, so that its pace is a ceiling of the same work."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ceiling import Ceiling
from bench.errors import MeasurementError
from bench.raw import Raw, measure
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


@pytest.fixture(scope="module")
def raw(tiny_int8_bundle: Path) -> Raw:
    """The tiny int8 bundle, bare."""
    return Raw(Bundle.open(tiny_int8_bundle))


def test_the_same_answers(raw: Raw, tiny_int8_bundle: Path) -> None:
    """Texts of all lengths, sorted and batched, get the predictor's best label each at its own place."""
    texts = [f"where is my {'very ' * (number % 40)}late parcel {number}" for number in range(100)]
    predictor = Predictor.open(tiny_int8_bundle)
    expected = [answer[0]["label"] for answer in predictor.predict(texts)]
    assert [predictor.manifest.labels[index] for index in raw.best(texts)] == expected


def test_it_goes_round(raw: Raw) -> None:
    """Fewer texts than are taken in hand at a time are taken again and again."""
    found = measure(raw, ["where is it?", "cancel"], 0.05, 32)
    assert found["answered"] >= 2
    assert found["seconds"] >= 0.05


def test_a_process_that_fails_is_explained(tmp_path: Path) -> None:
    """A bundle that cannot be opened is a failed measurement with the reason in it."""
    with pytest.raises(MeasurementError, match=r"(?s)raw runtime, int8, 8 in hand ended with status 1.*manifest"):
        Ceiling("int8", tmp_path, 8).measure(["a"], 0.1, {0}, tmp_path)
