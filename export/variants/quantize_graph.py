"""Writes 8-bit layers and embeddings into a graph.

A layer becomes QuantizeLinear → MatMulIntegerToFloat, onnxruntime's fastest. Other readers keep float32 activations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.graphs.graph_file import read_tensor
from export.variants.linear_layers import Group, Linear
from export.variants.smoothquant import Range, quantize_weight

CONTRIB = "com.microsoft"  # the domain of onnxruntime's own operators
TABLE_ROWS = 64
"""Smaller tables, such as that of token types, stay in float32."""

ROWS_AT_ONCE = 4096

MIDDLE = 128
"""Zero, of unsigned weights."""


class _Writer:
    def __init__(self, model: ModelProto) -> None:
        self.model, self.nodes = ModelProto(), list[NodeProto]()
        self.model.CopyFrom(model)

    def add_constant(self, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add_node(self, kind: str, inputs: Sequence[str], output: str, **options: int | str) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **options))
        return output

    def finish(self) -> ModelProto:
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        if CONTRIB in {node.domain for node in graph.node} - {each.domain for each in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        used = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
        kept = [each for each in graph.initializer if each.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return self.model


def quantize_layers(
    model: ModelProto, groups: Sequence[Group], ranges: Mapping[str, Range], *, unsigned: bool = False
) -> ModelProto:
    """A copy, with these groups in 8 bits.

    ``unsigned``: weights from 1 to 255 around 128 give the same sums on every machine. Of signed ones a CPU without
    8-bit dot products adds up in 16 bits, which saturate; a browser does not.
    """
    writer, quantized = _Writer(model), dict[str, str]()
    layers = {layer.node.output[0]: layer for group in groups for layer in group.layers}
    merged = {layer.output for layer in layers.values() if layer.added_by}
    for node in model.graph.node:
        layer = layers.get(node.output[0])
        if layer:
            source = node.input[0]
            if source not in quantized:
                quantized[source] = _write_activations(writer, source, ranges[source])
            _write_product(writer, layer, quantized[source], ranges[source], unsigned=unsigned)
        elif node.output[0] not in merged:
            writer.nodes.append(node)
    return writer.finish()


def quantize_tables(model: ModelProto, folder: Path | None = None) -> ModelProto:
    """A copy, with embeddings in 8 bits, one scale by row; ``folder`` has the data file, if there is one."""
    writer, tables = _Writer(model), _find_tables(model)
    for name, table in tables.items():
        values = read_tensor(table, folder)
        # In parts: quantizing takes several times a table's memory, and one may be a fourth of the model.
        parts = [quantize_weight(part.T) for part in np.array_split(values, len(values) // ROWS_AT_ONCE + 1)]
        writer.add_constant(f"{name}/rows", np.concatenate([integers.T for integers, _ in parts]))
        writer.add_constant(f"{name}/row_scales", np.concatenate([scales for _, scales in parts])[:, None])
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            _write_lookup(writer, node.input[0], node.input[1], node.output[0])
        else:
            writer.nodes.append(node)
    return writer.finish()


def _write_activations(writer: _Writer, source: str, quantization: Range) -> str:
    values = source
    if quantization.smoothing is not None:
        inverse = writer.add_constant(f"{source}/smoothing", np.asarray(1 / quantization.smoothing, dtype=np.float32))
        values = writer.add_node("Mul", [source, inverse], f"{source}/smoothed")
    scale = writer.add_constant(f"{source}/scale", np.asarray(quantization.scale))
    zero_point = writer.add_constant(f"{source}/zero_point", np.asarray(quantization.zero_point))
    return writer.add_node("QuantizeLinear", [values, scale, zero_point], f"{source}/quantized")


def _write_product(writer: _Writer, layer: Linear, values: str, quantization: Range, *, unsigned: bool) -> None:
    source, output = layer.node.input[0], layer.output
    smoothing = quantization.smoothing
    integers, scales = quantize_weight(layer.weight if smoothing is None else layer.weight * smoothing[:, None])
    zero = ""
    if unsigned:
        integers = (integers.astype(np.int16) + MIDDLE).astype(np.uint8)
        zero = writer.add_constant(f"{output}/weight_zero_point", np.full(len(scales), MIDDLE, np.uint8))
    weight = writer.add_constant(f"{output}/weight", integers)
    scale = writer.add_constant(f"{output}/weight_scale", scales)
    inputs = [values, weight, f"{source}/scale", scale, f"{source}/zero_point", zero, layer.bias or ""]
    writer.add_node("MatMulIntegerToFloat", inputs, output, domain=CONTRIB)


def _find_tables(model: ModelProto) -> dict[str, TensorProto]:
    """Large float32 matrices that are used only for lookup."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    lookups = Counter(node.input[0] for node in model.graph.node if _is_lookup(node))
    return {
        each.name: each
        for each in model.graph.initializer
        if len(each.dims) == 2 and each.data_type == TensorProto.FLOAT and each.dims[0] >= TABLE_ROWS
        if lookups[each.name] == uses[each.name] > 0
    }


def _write_lookup(writer: _Writer, table: str, indices: str, output: str) -> None:
    rows = writer.add_node("Gather", [f"{table}/rows", indices], f"{output}/integers", axis=0)
    factor = writer.add_node("Gather", [f"{table}/row_scales", indices], f"{output}/factor", axis=0)
    floats = writer.add_node("Cast", [rows], f"{output}/float", to=TensorProto.FLOAT)
    writer.add_node("Mul", [floats, factor], output)


def _is_lookup(node: NodeProto) -> bool:
    axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
    return node.op_type == "Gather" and axis == 0
