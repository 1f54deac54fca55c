"""A bundle's encoder and decoder, as Optimum names and cuts them, compute what they did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.bundle.hub.encoder_decoder import DECODER, ENCODER, write_encoder_decoder
from export.bundle.hub.graph import Closing
from export.graphs.graph_file import data_file, load_graph, move_tensors
from serving.inference.session import onnxruntime

IDS = np.array([[5, 9, 17, 30, 1], [7, 8, 1, 0, 0]])
MASK = (IDS > 0).astype(np.int64)
FIRST, NEXT = np.array([[0], [0]]), np.array([[7], [11]])

Tensors = dict[str, np.ndarray[Any, Any]]


def run(graph: Path, feeds: Tensors) -> Tensors:
    """Outputs by name, of the inputs that the graph has."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    names, wanted = [each.name for each in session.get_outputs()], {each.name for each in session.get_inputs()}
    assert wanted <= feeds.keys()
    found = session.run(names, {name: value for name, value in feeds.items() if name in wanted})
    return dict(zip(names, found, strict=True))


def as_past(outputs: Tensors) -> Tensors:
    return {name.replace("present.", "past_key_values."): value for name, value in outputs.items() if "present" in name}


def pasts(graph: Path, tokens: int) -> Tensors:
    """A past of random numbers."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    shapes = {each.name: each.shape for each in session.get_inputs() if each.name.startswith("past_key_values.")}
    return {
        name: random.normal(size=(2, heads, tokens, width)).astype(np.float32)
        for name, (_, heads, _, width) in shapes.items()
    }


@pytest.fixture(scope="module")
def bundle(task_bundle: Callable[[str], Path]) -> Path:
    return task_bundle("text2text-generation")


@pytest.mark.slow
@pytest.mark.parametrize("dummy", [0, 1])
@pytest.mark.parametrize("split", [False, True])
def test_both_steps(bundle: Path, tmp_path: Path, dummy: int, split: bool) -> None:
    """The first, whatever past a caller gives as a dummy, and the next one, which reads the cache."""
    for name in ("encoder.onnx", "decoder.onnx"):
        model = load_graph(bundle / name)
        if split:
            move_tensors(model, data_file(tmp_path / name), bundle)
        onnx.save(model, str(tmp_path / name))
    (hub := tmp_path / "hub").mkdir()
    encoder, decoder = write_encoder_decoder(tmp_path / "encoder.onnx", tmp_path / "decoder.onnx", hub)
    onnx.checker.check_model(str(decoder))
    assert (hub / f"{DECODER}_data").exists() == split

    own = run(bundle / "encoder.onnx", {"input_ids": IDS, "attention_mask": MASK})
    hidden = run(encoder, {"input_ids": IDS, "attention_mask": MASK})["last_hidden_state"]
    np.testing.assert_array_equal(hidden, own["last_hidden_state"])
    common = {"encoder_attention_mask": MASK, "encoder_hidden_states": hidden}
    first = {"input_ids": FIRST, "use_cache_branch": np.array([False]), **common, **pasts(decoder, dummy)}
    found = run(decoder, first)
    expected = run(bundle / "decoder.onnx", {**first, **pasts(decoder, 0), **as_past(own)})
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)

    second = {"input_ids": NEXT, "use_cache_branch": np.array([True]), **common, **as_past(found)}
    after = run(bundle / "decoder.onnx", {**second, **as_past(expected), **as_past(own)})
    np.testing.assert_allclose(run(decoder, second)["logits"], after["logits"], atol=1e-5)


def test_a_text_that_is_cut_off_is_closed(bundle: Path, tmp_path: Path) -> None:
    """transformers.js cuts its end token off too."""
    encoder, _ = write_encoder_decoder(
        bundle / "encoder.onnx", bundle / "decoder.onnx", tmp_path, Closing(token_id=1, max_length=5)
    )
    cut = np.array([[5, 9, 17, 30, 12]])
    found, expected = (
        run(graph, {"input_ids": ids, "attention_mask": np.ones_like(ids)})["last_hidden_state"]
        for graph, ids in ((encoder, cut), (bundle / "encoder.onnx", IDS[:1]))
    )
    np.testing.assert_array_equal(found, expected)
    assert {path.name for path in tmp_path.iterdir()} == {ENCODER, DECODER}
