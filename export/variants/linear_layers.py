"""The linear layers of a graph, found by structure: ``MatMul`` or plain ``Gemm`` with a constant matrix.

Layers with the same input (query, key and value) form a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from export.graphs.graph_file import read_tensor

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """``output = input @ weight (+ bias)``.

    Attributes:
        tensor: the weight, [outputs, inputs] if ``transposed``.
        folder: has the graph's data file, if there is one.
        bias: a constant's name.
        added_by: the node that adds the bias, if not ``node``.
    """

    node: NodeProto
    tensor: TensorProto
    transposed: bool
    folder: Path | None
    bias: str | None = None
    added_by: NodeProto | None = None

    @property
    def weight(self) -> Array:
        """[inputs, outputs]; read anew each time."""
        matrix = read_tensor(self.tensor, self.folder)
        return np.ascontiguousarray(matrix.T if self.transposed else matrix)

    @property
    def output(self) -> str:
        return str((self.added_by or self.node).output[0])


@dataclass(frozen=True)
class Group:
    input: str
    layers: list[Linear]

    @property
    def weight(self) -> Array:
        """[inputs, all outputs]; read anew each time."""
        return np.concatenate([layer.weight for layer in self.layers], axis=1)


def find_groups(model: ModelProto, folder: Path | None = None) -> list[Group]:
    """In order, without layers that no other layer follows: those are small and give the answer."""
    layers = list(_find_layers(model.graph, folder))
    inner = _tensors_before_layers(model.graph, layers)
    groups: dict[str, list[Linear]] = {}
    for layer in layers:
        if layer.node.output[0] in inner:
            groups.setdefault(layer.node.input[0], []).append(layer)
    return [Group(*each) for each in groups.items()]


def _find_layers(graph: GraphProto, folder: Path | None) -> Iterator[Linear]:
    constants = {each.name: each for each in graph.initializer}
    readers = _find_readers(graph)
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if weight is None or len(weight.dims) != 2 or weight.data_type != TensorProto.FLOAT:
            continue
        options = {each.name: each.i or each.f for each in node.attribute}
        if options.get("alpha", 1) != 1 or options.get("beta", 1) != 1 or options.get("transA", 0):
            continue
        transposed = bool(options.get("transB", 0))
        outputs = weight.dims[0 if transposed else 1]
        yield Linear(node, weight, transposed, folder, *_find_bias(node, outputs, constants, readers))


def _find_bias(
    node: NodeProto, outputs: int, constants: Mapping[str, TensorProto], readers: Mapping[str, Sequence[NodeProto]]
) -> tuple[str | None, NodeProto | None]:
    if len(node.input) > 2:
        return node.input[2], None
    following = readers.get(node.output[0], [])
    if len(following) != 1 or following[0].op_type != "Add":
        return None, None
    other = next((name for name in following[0].input if name != node.output[0]), "")
    fits = other in constants and list(constants[other].dims) == [outputs]
    return (other, following[0]) if fits else (None, None)


def _find_readers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """Outputs of the graph must remain, and have none."""
    outputs, readers = {each.name for each in graph.output}, dict[str, list[NodeProto]]()
    for node in graph.node:
        for name in set(node.input) - outputs:
            readers.setdefault(name, []).append(node)
    return readers


def _tensors_before_layers(graph: GraphProto, layers: Sequence[Linear]) -> set[str]:
    needed = {layer.node.input[0] for layer in layers}
    for node in reversed(graph.node):  # a graph's nodes are in execution order
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed
