"""Variants without calibration."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.graphs.graph_file import (
    copy_graph,
    data_file,
    load_graph,
    move_tensors,
    read_tensor,
    save_graph,
)
from export.variants.calibration import BuildVariant, Calibration
from serving.inference.memory import return_freed_memory
from serving.inference.session import FATAL, onnxruntime

BLOCK = 128
"""Weights that share a scale."""


def fp32(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    copy_graph(source, target)
    return {}


def fp16(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """onnxruntime has no half-precision kernels on x86, so weights are cast to float32 when the session loads."""
    model = load_graph(source)
    matrices = [each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT and len(each.dims) > 1]
    casts = []
    for each in matrices:
        casts.append(helper.make_node("Cast", [f"{each.name}/half"], [each.name], to=TensorProto.FLOAT))
        half = read_tensor(each, source.parent).astype(np.float16)
        each.CopyFrom(numpy_helper.from_array(half, f"{each.name}/half"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    save_graph(model, target, source)
    return {}


def dynamic_int8(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Activations are scaled by the largest value of each call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=target.parent) as folder, _errors_only():
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
        _optimize(source, prepared)
        quantize_dynamic(prepared, made, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=True)
        _save(load_graph(made), target, made.parent)
    return {}


def _optimize(source: Path, target: Path) -> None:
    """As onnxruntime's quant_pre_process does, which would load the graph a second time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data_file(target).name)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return_freed_memory()


def quantize_weights(bits: int) -> BuildVariant:
    """MatMulNBits; its kernels for one and for many rows differ."""

    def build(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        with _errors_only():
            quantizer = MatMulNBitsQuantizer(
                onnx.load(str(source)), bits=bits, block_size=BLOCK, is_symmetric=True, accuracy_level=4
            )
            quantizer.process()
        _save(quantizer.model.model, target, source.parent)
        return {"block_size": BLOCK, "accuracy_level": 4}

    return build


def _save(model: ModelProto, target: Path, folder: Path) -> None:
    """With a data file, from a model whose data is in it or in files of ``folder``."""
    move_tensors(model, data_file(target), folder)
    target.write_bytes(model.SerializeToString())


@contextmanager
def _errors_only() -> Iterator[None]:
    """The quantizers' advice does not apply here."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
