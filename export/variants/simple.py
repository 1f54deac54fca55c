"""The variants that need no calibration: a copy, half precision, dynamic int8, 8-bit and 4-bit weights."""

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

from export.variants.calibration import Calibration
from export.variants.variant import BuildVariant

BLOCK = 128
"""Weights that share a scale."""


def fp32(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """The graph as it is."""
    shutil.copyfile(source, target)
    return {}


def fp16(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Weights stored in half precision and computed with in float32: onnxruntime has no half-precision kernels on x86,
    and would cast around each node. The session unpacks them once, when it loads."""
    model = onnx.load(str(source))
    large = [each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT and len(each.dims) > 1]
    casts = []
    for each in large:
        casts.append(helper.make_node("Cast", [f"{each.name}/half"], [each.name], to=TensorProto.FLOAT))
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), f"{each.name}/half"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(target))
    return {}


def dynamic_int8(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """8-bit weights, and activations scaled by each call's own largest value."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)
    return {}


def weights(bits: int) -> BuildVariant:
    """``bits``-bit weights in blocks; activations are rounded to 8 bits, block by block and row by row (onnxruntime's
    MatMulNBits at accuracy level 4). Its kernels for one row and for many differ: logits change by some hundredths."""

    def make(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        with _quiet():
            quantizer = MatMulNBitsQuantizer(
                onnx.load(str(source)), bits=bits, block_size=BLOCK, is_symmetric=True, accuracy_level=4
            )
            quantizer.process()
            quantizer.model.save_model_to_file(str(target))
        return {"block_size": BLOCK, "accuracy_level": 4}

    return make


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizers write advice to the root logger that does not apply here."""
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger().setLevel(before)
