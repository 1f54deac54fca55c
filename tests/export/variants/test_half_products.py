"""Products in half precision: what a GPU computes, and where it may be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.variants.half_products import PRODUCTS, half_products
from export.variants.registry import VARIANTS, variant_named, variants_for
from serving.errors import InputError
from serving.inference.session import onnxruntime


def test_products_alone_are_in_halves(tiny_bundle: Path, tmp_path: Path) -> None:
    """A CPU runs the graph too, between casts: the logits are near, and sums of layers stay in float32."""
    half_products(tiny_bundle / "model.onnx", tmp_path / "half.onnx", None)  # type: ignore[arg-type]
    model = onnx.load(str(tmp_path / "half.onnx"))
    onnx.checker.check_model(model, full_check=True)
    halves = {each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT16}
    casts = {name for node in model.graph.node for name in node.output if name.endswith("/half")}
    for node in model.graph.node:
        assert (node.op_type in PRODUCTS) == bool({*node.input} & (halves | casts))
    ids = np.arange(5, 17)[None]
    feeds: dict[str, Any] = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}
    found, exact = (
        onnxruntime.InferenceSession(str(path)).run(["logits"], feeds)[0]
        for path in (tmp_path / "half.onnx", tiny_bundle / "model.onnx")
    )
    assert 0 < np.abs(found - exact).max() < 0.05
    assert (tmp_path / "half.onnx").stat().st_size < (tiny_bundle / "model.onnx").stat().st_size


def test_only_a_gpu_may_be_asked() -> None:
    """The CPU says why not; ``auto`` tries it where it may pay."""
    with pytest.raises(InputError, match="fp16-compute variant is for GPUs alone; add --device cuda"):
        variant_named("fp16-compute")
    assert variant_named("fp16-compute", provider="cuda").name == "fp16-compute"
    assert variants_for(generates=False, provider="cuda").keys() - VARIANTS.keys() == {"fp16-compute"}
