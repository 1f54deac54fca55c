"""Graphs that keep a tensor in another file, wherever ONNX allows a tensor."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import AttributeProto, ModelProto, SparseTensorProto, TensorProto, helper


def external(name: str = "weight", location: str = "weights.bin", size: int = 16, **entries: object) -> TensorProto:
    """A float tensor of ``size`` bytes whose values are in the file ``location``."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[size // 4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 0, "length": size, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def in_initializer(model: ModelProto, tensor: TensorProto) -> None:
    """A weight of the graph."""
    model.graph.initializer.append(tensor)


def in_constant(model: ModelProto, tensor: TensorProto) -> None:
    """The value of a Constant node."""
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def in_tensor_list(model: ModelProto, tensor: TensorProto) -> None:
    """A tensor in a list of tensors."""
    attribute = AttributeProto(name="values", type=AttributeProto.TENSORS, tensors=[tensor])
    model.graph.node.add(op_type="Custom").attribute.append(attribute)


def in_sparse_attribute(model: ModelProto, tensor: TensorProto) -> None:
    """The values of a sparse constant."""
    node = model.graph.node.add(op_type="Constant", output=["constant"])
    node.attribute.add(name="sparse_value", type=AttributeProto.SPARSE_TENSOR).sparse_tensor.values.CopyFrom(tensor)


def in_sparse_list(model: ModelProto, tensor: TensorProto) -> None:
    """The indices of a sparse tensor in a list of them."""
    attribute = AttributeProto(name="values", type=AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.add().indices.CopyFrom(tensor)
    model.graph.node.add(op_type="Custom").attribute.append(attribute)


def in_sparse_initializer(model: ModelProto, tensor: TensorProto) -> None:
    """The values of a sparse weight."""
    model.graph.sparse_initializer.append(SparseTensorProto(values=tensor))


def in_branch(model: ModelProto, tensor: TensorProto) -> None:
    """A weight of a branch of a branch."""
    inner, outer = onnx.GraphProto(name="inner", initializer=[tensor]), onnx.GraphProto(name="outer")
    outer.node.append(helper.make_node("If", ["condition"], ["output"], then_branch=inner, else_branch=inner))
    model.graph.node.append(helper.make_node("Loop", ["count"], ["output"], body=outer))


def in_graph_list(model: ModelProto, tensor: TensorProto) -> None:
    """A weight of a graph in a list of graphs."""
    attribute = AttributeProto(name="bodies", type=AttributeProto.GRAPHS)
    attribute.graphs.add().initializer.append(tensor)
    model.graph.node.add(op_type="Custom").attribute.append(attribute)


def in_function(model: ModelProto, tensor: TensorProto) -> None:
    """A constant of a function."""
    function = model.functions.add(name="function", domain="local")
    function.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def in_function_default(model: ModelProto, tensor: TensorProto) -> None:
    """A default value of a function's attribute."""
    model.functions.add(name="function", domain="local").attribute_proto.append(helper.make_attribute("value", tensor))


def in_training(model: ModelProto, tensor: TensorProto) -> None:
    """A weight of the graph that initializes a training."""
    model.training_info.add().initialization.initializer.append(tensor)


PLACES: dict[str, Callable[[ModelProto, TensorProto], None]] = {
    place.__name__: place
    for place in (
        in_initializer, in_constant, in_tensor_list, in_sparse_attribute, in_sparse_list, in_sparse_initializer,
        in_branch, in_graph_list, in_function, in_function_default, in_training,
    )
}  # fmt: skip


def with_tensor(graph: bytes, tensor: TensorProto, place: str = "in_initializer") -> bytes:
    """The graph with a tensor more in one of PLACES."""
    model = onnx.load_from_string(graph)
    PLACES[place](model, tensor)
    return model.SerializeToString()


def with_outside_weight(graph: bytes, location: str, **entries: object) -> tuple[bytes, bytes]:
    """The graph with its first large weight in the file ``location``, and that file's content."""
    model = onnx.load_from_string(graph)
    weight = next(each for each in model.graph.initializer if len(each.raw_data) > 1000)
    content, tensor = weight.raw_data, external(weight.name, location, len(weight.raw_data), **entries)
    del tensor.dims[:]
    tensor.dims.extend(weight.dims)
    weight.CopyFrom(tensor)
    return model.SerializeToString(), content
