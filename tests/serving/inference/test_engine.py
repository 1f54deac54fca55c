"""The engine of one pass a window: rows of like length share a batch, and padding is nobody's business but its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Encoding

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import TokenizerSpec
from serving.inference.engine import Inputs, WindowEngine, _pad_rows
from serving.inference.predictor import Predictor
from tests.bundles import forge
from tests.serving.inference.test_predictor import windows_of


def engine_of(predictor: Predictor) -> WindowEngine:
    """What runs the predictor's graph."""
    assert isinstance(predictor._engine, WindowEngine)
    return predictor._engine


def watch(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes in which the graph is called from now on."""
    shapes: list[tuple[int, ...]] = []
    engine = engine_of(predictor)
    pad = engine.pad

    def recording(windows: Sequence[Encoding], length: int) -> Inputs:
        inputs = pad(windows, length)
        shapes.append(inputs["input_ids"].shape)
        return inputs

    monkeypatch.setattr(engine, "pad", recording)
    return shapes


def test_a_batch_can_be_forced(predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof may put any windows together and pad them further; a graph whose rows depend on each other never."""
    shapes = watch(predictor, monkeypatch)
    windows = windows_of(predictor, texts[:3])
    predictor.run_batch(windows, 48)
    assert shapes == [(3, 48)]


def test_an_int8_batch_cannot_be_forced(
    dynamic_predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What serves a row-dependent graph keeps its rows apart, whoever asks."""
    shapes = watch(dynamic_predictor, monkeypatch)
    windows = windows_of(dynamic_predictor, texts)
    dynamic_predictor.run_batch(windows, 40)
    assert sorted(shapes) == sorted((1, len(window.ids)) for window in windows)


def test_dynamic_int8_rows_run_alone(
    dynamic_predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that is not row-independent gets one unpadded row at a time."""
    shapes = watch(dynamic_predictor, monkeypatch)
    windows = windows_of(dynamic_predictor, texts)
    dynamic_predictor.run(windows)
    assert sorted(shapes) == sorted((1, len(window.ids)) for window in windows)


def test_batches(predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row-independent graph gets rows of like length together, within the budget of padded tokens."""
    shapes, shape = watch(predictor, monkeypatch), BatchShape(tokens=512)
    monkeypatch.setattr(engine_of(predictor), "shape", shape)
    predictor.predict(texts * 8)
    assert sum(rows for rows, _ in shapes) == 8 * len(texts)
    assert len(shapes) < len(texts)
    assert all(rows * longest <= shape.tokens for rows, longest in shapes)
    assert [longest for _, longest in shapes] == sorted(longest for _, longest in shapes)


@pytest.mark.parametrize(
    ("side", "expected"),
    [("right", [[1, 2, 3], [4, 9, 9]]), ("left", [[1, 2, 3], [9, 9, 4]])],
)
def test_padding_side(side: str, expected: list[list[int]]) -> None:
    """Rows are filled up to the longest on the side that the tokenizer pads."""
    spec = TokenizerSpec.model_validate(
        {"file": "t", "max_length": 8, "pad_token_id": 9, "pad_token_type_id": 0, "padding_side": side}
    )
    rectangle = _pad_rows([[1, 2, 3], [4]], 9, 3, spec)
    assert rectangle.tolist() == expected
    assert rectangle.dtype == np.int64


def test_left_padding(tiny_bundle: Path, tmp_path: Path, predictor: Predictor) -> None:
    """A bundle that pads on the left pads ids, mask and type ids on the left alike."""
    left = Predictor(
        Bundle.open(forge(tiny_bundle, tmp_path / "left", tokenizer={"padding_side": "left", "pad_token_id": 3}))
    )
    inputs = engine_of(left).pad(windows_of(left, ["stop", "please cancel my parcel"]))
    mask = inputs["attention_mask"]
    assert mask[0].tolist() == sorted(mask[0].tolist())
    assert mask[0, 0] == 0
    assert (inputs["input_ids"][mask == 0] == 3).all()
    assert list(inputs) == left.manifest.graph.inputs == predictor.manifest.graph.inputs


def test_no_plan_for_each_shape(predictor: Predictor) -> None:
    """onnxruntime keeps no plan of the memory for each shape that comes: they are many, and would be kept for good."""
    assert not engine_of(predictor)._session.get_session_options().enable_mem_pattern
