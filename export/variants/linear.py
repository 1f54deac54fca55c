"""The linear layers of a graph, found by structure: products of activations with a constant matrix.

No family's names are relied on. A layer is a ``MatMul``, or a ``Gemm`` without scaling, whose second input is a
constant float32 matrix; layers that read the same activations (query, key and value) form a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """One layer: ``output = input @ weight (+ bias)``, ``weight`` of shape [inputs, outputs]."""

    node: NodeProto
    weight: Array

    @property
    def bias(self) -> str | None:
        """The tensor that is added, where the node itself does so."""
        return self.node.input[2] if len(self.node.input) > 2 else None


@dataclass(frozen=True)
class Group:
    """The layers that read one tensor."""

    input: str
    layers: list[Linear]

    @property
    def weight(self) -> Array:
        """All layers' weights side by side, [inputs, all outputs]."""
        return np.concatenate([layer.weight for layer in self.layers], axis=1)


def groups_of(model: ModelProto) -> list[Group]:
    """The groups in the graph's order, without the layers that give the answer itself.

    Those have no other layer behind them, are small, and are left in float32.
    """
    graph = model.graph
    layers = list(_linears(graph))
    inner = _before_another(graph, layers)
    found: dict[str, list[Linear]] = {}
    for layer in layers:
        if layer.node.output[0] in inner:
            found.setdefault(layer.node.input[0], []).append(layer)
    return [Group(name, some) for name, some in found.items()]


def _linears(graph: GraphProto) -> Iterator[Linear]:
    constants = {each.name: each for each in graph.initializer}
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if weight is None or len(weight.dims) != 2 or weight.data_type != TensorProto.FLOAT:
            continue
        options = {each.name: each.i or each.f for each in node.attribute}
        if options.get("alpha", 1) != 1 or options.get("beta", 1) != 1 or options.get("transA", 0):
            continue
        matrix = numpy_helper.to_array(weight)
        yield Linear(node, np.ascontiguousarray(matrix.T if options.get("transB", 0) else matrix))


def _before_another(graph: GraphProto, layers: Sequence[Linear]) -> set[str]:
    """The tensors from which some layer's input is made."""
    needed = {layer.node.input[0] for layer in layers}
    for node in reversed(graph.node):  # a graph's nodes are in the order in which they can run
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed
