"""Writes 8 bits into a graph.

A layer becomes QuantizeLinear → MatMulIntegerToFloat: an integer product with a float32 result, to which the bias is
added while it is still in the cache. That is onnxruntime's own operator; it makes the same of ONNX's standard ones
(DequantizeLinear → MatMul → Add), but adds the bias in a pass of its own, and looks up zero points of weights that are
all 0. What else reads the activations, such as the residual connection, keeps them in float32 (onnxruntime's own
quantizer hands it the rounded ones).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.variants.linear_layers import Group, Linear
from export.variants.smoothquant import Range, quantized_weight

CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""

TABLE_ROWS = 64
"""A table with fewer rows, such as that of token types, is not worth it."""


class _Writer:
    """Gathers nodes and constants, then puts them into the model."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []

    def constant(self, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **options: int | str) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **options))
        return output

    def finish(self) -> None:
        """Replace the nodes and drop the constants that none reads any more."""
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        if CONTRIB in {node.domain for node in graph.node} - {each.domain for each in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        read = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
        kept = [each for each in graph.initializer if each.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)


def quantized(model: ModelProto, groups: Sequence[Group], ranges: Mapping[str, Range]) -> ModelProto:
    """A copy of the model with the layers of ``groups`` in 8 bits; others stay as they are."""
    copy = ModelProto()
    copy.CopyFrom(model)
    writer, done = _Writer(copy), dict[str, str]()
    layers = {layer.node.output[0]: layer for group in groups for layer in group.layers}
    added = {layer.output for layer in layers.values() if layer.added_by}
    for node in copy.graph.node:
        layer = layers.get(node.output[0])
        if layer is None:
            writer.nodes.extend([] if node.output[0] in added else [node])
            continue
        source = node.input[0]
        if source not in done:
            done[source] = _activations(writer, source, ranges[source])
        _product(writer, layer, done[source], ranges[source])
    writer.finish()
    return copy


def with_small_tables(model: ModelProto) -> ModelProto:
    """A copy with the embeddings in 8 bits, one scale a row: a row is looked up and multiplied by its scale."""
    copy = ModelProto()
    copy.CopyFrom(model)
    writer, tables = _Writer(copy), _tables(copy)
    for node in copy.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            _lookup(writer, node, tables)
        else:
            writer.nodes.append(node)
    writer.finish()
    return copy


def _activations(writer: _Writer, source: str, chosen: Range) -> str:
    values, facts = source, [f"{source}/scale", f"{source}/zero_point"]
    if chosen.smoothing is not None:
        inverse = writer.constant(f"{source}/smoothing", np.asarray(1 / chosen.smoothing, dtype=np.float32))
        values = writer.node("Mul", [source, inverse], f"{source}/smoothed")
    writer.constant(facts[0], np.asarray(chosen.scale))
    writer.constant(facts[1], np.asarray(chosen.zero_point))
    return writer.node("QuantizeLinear", [values, *facts], f"{source}/quantized")


def _product(writer: _Writer, layer: Linear, values: str, chosen: Range) -> None:
    source, output = layer.node.input[0], layer.output
    weight = layer.weight if chosen.smoothing is None else layer.weight * chosen.smoothing[:, None]
    eight, scale = quantized_weight(weight)
    names = [writer.constant(f"{output}/weight", eight), writer.constant(f"{output}/weight_scale", scale)]
    inputs = [values, names[0], f"{source}/scale", names[1], f"{source}/zero_point", "", layer.bias or ""]
    writer.node("MatMulIntegerToFloat", inputs, output, domain=CONTRIB)


def _tables(model: ModelProto) -> Collection[str]:
    """The float32 matrices that are only looked up in: one that is also a layer's weight is needed as it is."""
    graph = model.graph
    large = {
        each.name
        for each in graph.initializer
        if len(each.dims) == 2 and each.data_type == TensorProto.FLOAT and each.dims[0] >= TABLE_ROWS
    }
    looked_up = {node.input[0] for node in graph.node if node.op_type == "Gather" and _axis(node) == 0}
    otherwise = {
        name
        for node in graph.node
        for at, name in enumerate(node.input)
        if not (node.op_type == "Gather" and at == 0 and _axis(node) == 0)
    }
    return (large & looked_up) - otherwise


def _lookup(writer: _Writer, node: NodeProto, tables: Collection[str]) -> None:
    table, output = node.input[0], node.output[0]
    eight, scale = f"{table}/rows", f"{table}/row_scales"
    if eight not in {each.name for each in writer.model.graph.initializer}:
        matrix = next(each for each in writer.model.graph.initializer if each.name == table)
        rows, scales = quantized_weight(numpy_helper.to_array(matrix).T)
        writer.constant(eight, np.ascontiguousarray(rows.T))
        writer.constant(scale, scales[:, None])
    found = writer.node("Gather", [eight, node.input[1]], f"{output}/eight", axis=0)
    factor = writer.node("Gather", [scale, node.input[1]], f"{output}/factor", axis=0)
    writer.nodes.append(helper.make_node("Cast", [found], [f"{output}/float"], to=TensorProto.FLOAT))
    writer.node("Mul", [f"{output}/float", factor], output)


def _axis(node: NodeProto) -> int:
    return next((each.i for each in node.attribute if each.name == "axis"), 0)
