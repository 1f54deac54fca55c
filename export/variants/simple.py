"""Variants without calibration."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.variants.calibration import BuildVariant, Calibration

BLOCK = 128
"""Weights that share a scale."""


def fp32(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    shutil.copyfile(source, target)
    return {}


def fp16(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """onnxruntime has no half-precision kernels on x86, so weights are cast to float32 when the session loads."""
    model = onnx.load(str(source))
    matrices = [each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT and len(each.dims) > 1]
    casts = []
    for each in matrices:
        casts.append(helper.make_node("Cast", [f"{each.name}/half"], [each.name], to=TensorProto.FLOAT))
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), f"{each.name}/half"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(target))
    return {}


def dynamic_int8(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Activations are scaled by the largest value of each call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _errors_only():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)
    return {}


def quantize_weights(bits: int) -> BuildVariant:
    """MatMulNBits; its kernels for one and for many rows differ."""

    def build(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        with _errors_only():
            quantizer = MatMulNBitsQuantizer(
                onnx.load(str(source)), bits=bits, block_size=BLOCK, is_symmetric=True, accuracy_level=4
            )
            quantizer.process()
            quantizer.model.save_model_to_file(str(target))
        return {"block_size": BLOCK, "accuracy_level": 4}

    return build


@contextmanager
def _errors_only() -> Iterator[None]:
    """The quantizers' advice does not apply here."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
