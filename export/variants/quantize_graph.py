"""Writes 8-bit layers and tables into a graph.

A layer becomes QuantizeLinear → MatMulIntegerToFloat: onnxruntime's own operator, which is faster than ONNX's standard
ones because it adds the bias within the product and reads no zero points of weights. Other readers of the activations,
such as the residual connection, keep them in float32; onnxruntime's own quantizer would round those too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.variants.linear_layers import Group, Linear
from export.variants.smoothquant import Range, quantize_weight

CONTRIB = "com.microsoft"  # the domain of onnxruntime's own operators
TABLE_ROWS = 64
"""Smaller tables, such as that of token types, stay in float32."""


class _Writer:
    """Collects nodes and adds constants, then replaces the model's nodes."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []

    def add_constant(self, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add_node(self, kind: str, inputs: Sequence[str], output: str, **options: int | str) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **options))
        return output

    def finish(self) -> None:
        """Replace the nodes and drop unused constants."""
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        if CONTRIB in {node.domain for node in graph.node} - {each.domain for each in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        read = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
        kept = [each for each in graph.initializer if each.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)


def quantize_layers(model: ModelProto, groups: Sequence[Group], ranges: Mapping[str, Range]) -> ModelProto:
    """A copy of the model with the layers of ``groups`` in 8 bits."""
    copy = ModelProto()
    copy.CopyFrom(model)
    writer, quantized = _Writer(copy), dict[str, str]()
    layers = {layer.node.output[0]: layer for group in groups for layer in group.layers}
    added = {layer.output for layer in layers.values() if layer.added_by}
    for node in copy.graph.node:
        layer = layers.get(node.output[0])
        if layer is None:
            writer.nodes.extend([] if node.output[0] in added else [node])
            continue
        source = node.input[0]
        if source not in quantized:
            quantized[source] = _write_activations(writer, source, ranges[source])
        _write_product(writer, layer, quantized[source], ranges[source])
    writer.finish()
    return copy


def quantize_tables(model: ModelProto) -> ModelProto:
    """A copy with the embeddings in 8 bits and one scale for each row, by which a row is multiplied after lookup."""
    copy = ModelProto()
    copy.CopyFrom(model)
    writer, tables = _Writer(copy), _find_tables(copy)
    for node in copy.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            _write_lookup(writer, node, tables)
        else:
            writer.nodes.append(node)
    writer.finish()
    return copy


def _write_activations(writer: _Writer, source: str, quantization: Range) -> str:
    values, scale, zero_point = source, f"{source}/scale", f"{source}/zero_point"
    if quantization.smoothing is not None:
        inverse = writer.add_constant(f"{source}/smoothing", np.asarray(1 / quantization.smoothing, dtype=np.float32))
        values = writer.add_node("Mul", [source, inverse], f"{source}/smoothed")
    writer.add_constant(scale, np.asarray(quantization.scale))
    writer.add_constant(zero_point, np.asarray(quantization.zero_point))
    return writer.add_node("QuantizeLinear", [values, scale, zero_point], f"{source}/quantized")


def _write_product(writer: _Writer, layer: Linear, values: str, quantization: Range) -> None:
    source, output = layer.node.input[0], layer.output
    weight = layer.weight if quantization.smoothing is None else layer.weight * quantization.smoothing[:, None]
    integers, scales = quantize_weight(weight)
    name, scale_name = (
        writer.add_constant(f"{output}/weight", integers),
        writer.add_constant(f"{output}/weight_scale", scales),
    )
    inputs = [values, name, f"{source}/scale", scale_name, f"{source}/zero_point", "", layer.bias or ""]
    writer.add_node("MatMulIntegerToFloat", inputs, output, domain=CONTRIB)


def _find_tables(model: ModelProto) -> Collection[str]:
    """The large float32 matrices that are used only for lookup, not as a layer's weight too."""
    graph = model.graph
    large = {
        each.name
        for each in graph.initializer
        if len(each.dims) == 2 and each.data_type == TensorProto.FLOAT and each.dims[0] >= TABLE_ROWS
    }
    looked_up = {node.input[0] for node in graph.node if _is_lookup(node)}
    used_otherwise = {
        name for node in graph.node for at, name in enumerate(node.input) if not (at == 0 and _is_lookup(node))
    }
    return (large & looked_up) - used_otherwise


def _write_lookup(writer: _Writer, node: NodeProto, tables: Collection[str]) -> None:
    table, output = node.input[0], node.output[0]
    integers, scale = f"{table}/rows", f"{table}/row_scales"
    if integers not in {each.name for each in writer.model.graph.initializer}:
        matrix = next(each for each in writer.model.graph.initializer if each.name == table)
        columns, scales = quantize_weight(numpy_helper.to_array(matrix).T)
        writer.add_constant(integers, np.ascontiguousarray(columns.T))
        writer.add_constant(scale, scales[:, None])
    rows = writer.add_node("Gather", [integers, node.input[1]], f"{output}/integers", axis=0)
    factor = writer.add_node("Gather", [scale, node.input[1]], f"{output}/factor", axis=0)
    writer.nodes.append(helper.make_node("Cast", [rows], [f"{output}/float"], to=TensorProto.FLOAT))
    writer.add_node("Mul", [f"{output}/float", factor], output)


def _is_lookup(node: NodeProto) -> bool:
    axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
    return node.op_type == "Gather" and axis == 0
