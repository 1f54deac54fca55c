"""The linear layers of a graph, found by structure: products of activations with a constant matrix.

No family's names are relied on. A layer is a ``MatMul``, or a ``Gemm`` without scaling, whose second input is a
constant float32 matrix, with the constant that alone is added to it; layers that read the same activations (query, key
and value) form a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """One layer: ``output = input @ weight (+ bias)``, ``weight`` of shape [inputs, outputs].

    Attributes:
        node: the product.
        bias: the name of a constant, [outputs].
        added_by: the node behind the product that adds it, where the product itself does not.
    """

    node: NodeProto
    weight: Array
    bias: str | None = None
    added_by: NodeProto | None = None

    @property
    def output(self) -> str:
        """The tensor that holds the whole of it."""
        return str((self.added_by or self.node).output[0])


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
    readers = _readers(graph)
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if weight is None or len(weight.dims) != 2 or weight.data_type != TensorProto.FLOAT:
            continue
        options = {each.name: each.i or each.f for each in node.attribute}
        if options.get("alpha", 1) != 1 or options.get("beta", 1) != 1 or options.get("transA", 0):
            continue
        matrix = numpy_helper.to_array(weight)
        matrix = np.ascontiguousarray(matrix.T if options.get("transB", 0) else matrix)
        yield Linear(node, matrix, *_bias(node, matrix.shape[1], constants, readers))


def _bias(
    node: NodeProto, outputs: int, constants: Mapping[str, TensorProto], readers: Mapping[str, Sequence[NodeProto]]
) -> tuple[str | None, NodeProto | None]:
    """What is added to the product, and by which node if not by itself."""
    if len(node.input) > 2:
        return node.input[2], None
    read_by = readers.get(node.output[0], [])
    if len(read_by) != 1 or read_by[0].op_type != "Add":
        return None, None
    other = next((name for name in read_by[0].input if name != node.output[0]), "")
    fits = other in constants and list(constants[other].dims) == [outputs]
    return (other, read_by[0]) if fits else (None, None)


def _readers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor; one that is an output of the graph has none that could take its place."""
    outputs, found = {each.name for each in graph.output}, dict[str, list[NodeProto]]()
    for node in graph.node:
        for name in set(node.input) - outputs:
            found.setdefault(name, []).append(node)
    return found


def _before_another(graph: GraphProto, layers: Sequence[Linear]) -> set[str]:
    """The tensors from which some layer's input is made."""
    needed = {layer.node.input[0] for layer in layers}
    for node in reversed(graph.node):  # a graph's nodes are in the order in which they can run
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed
