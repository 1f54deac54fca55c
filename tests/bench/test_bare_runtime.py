"""onnxruntime alone does the same work as the predictor."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bare_runtime import BareRuntime, measure
from bench.bare_runtime_process import BareRuntimeProcess
from deploy.measurement.process import MeasurementError
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


@pytest.fixture(scope="module")
def runtime(tiny_int8_bundle: Path) -> BareRuntime:
    return BareRuntime(Bundle.open(tiny_int8_bundle))


def test_the_same_answers(runtime: BareRuntime, tiny_int8_bundle: Path) -> None:
    """Texts of all lengths, sorted and batched, get the predictor's best label each at its own place."""
    texts = [f"where is my {'very ' * (number % 40)}late parcel {number}" for number in range(100)]
    predictor = Predictor.open(tiny_int8_bundle)
    expected = [answer[0]["label"] for answer in predictor.predict(texts)]
    assert [predictor.manifest.labels[index] for index in runtime.best(texts)] == expected


def test_it_repeats_texts(runtime: BareRuntime) -> None:
    """Texts are repeated if there are too few."""
    result = measure(runtime, ["where is it?", "cancel"], 0.05, 32)
    assert result["answered"] >= 2
    assert result["seconds"] >= 0.05


@pytest.mark.slow
def test_a_process_that_fails_is_explained(tmp_path: Path) -> None:
    """A bundle that cannot be opened is a failed measurement with the reason in it."""
    with pytest.raises(MeasurementError, match=r"(?s)onnxruntime alone, int8, 8 at once ended with status 1.*manifest"):
        BareRuntimeProcess("int8", tmp_path, 8).measure_rate(["a"], 0.1, {0}, tmp_path)
