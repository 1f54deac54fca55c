"""The sample of activations that int8's scales are found on: no more tokens than needed, and the largest values."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest
from onnx import numpy_helper

from export.variants import activations
from export.variants.activations import observe_activations
from export.variants.linear_layers import find_groups

LENGTHS = (3, 7, 1, 12, 30, 5)


def observe(rows: list[np.ndarray]) -> np.ndarray:
    """The sampled inputs of a layer that another one follows."""
    text = """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1, t, 8] x) => (float[1, t, 8] y) { p = MatMul (x, w)  y = MatMul (p, w) }
    """
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.eye(8, dtype=np.float32), "w"))
    ((_, values),) = observe_activations(model, find_groups(model), [{"x": each[None]} for each in rows])
    return values


@pytest.fixture
def rows() -> list[np.ndarray]:
    """[tokens, channels] of six rows."""
    random = np.random.default_rng(0)
    return [random.normal(size=(length, 8)).astype(np.float32) for length in LENGTHS]


def test_few_tokens_are_all_kept(rows: list[np.ndarray]) -> None:
    """In their order."""
    np.testing.assert_array_equal(observe(rows), np.concatenate(rows))


def test_of_many_tokens_the_largest_are_kept(rows: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each channel's largest value, and others up to the limit, none twice; the same at every time."""
    monkeypatch.setattr(activations, "MAX_TOKENS", 20)
    found, every = observe(rows), np.concatenate(rows)
    assert len(found) == 20
    np.testing.assert_array_equal(np.abs(found).max(axis=0), np.abs(every).max(axis=0))
    places = [int(np.flatnonzero((every == row).all(axis=1))[0]) for row in found]
    assert places == sorted(set(places))
    np.testing.assert_array_equal(observe(rows), found)
