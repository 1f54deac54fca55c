"""Matrix products in half precision, which GPUs have units for; all else stays in float32."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.graphs.graph_file import load_graph, read_tensor, save_graph
from export.variants.calibration import Calibration

PRODUCTS = ("MatMul", "Gemm")
HALF = "/half"


def half_products(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Weights that only products read are stored in half precision."""
    model = load_graph(source)
    weights = _weights_of_products(model)
    for each in (each for each in model.graph.initializer if each.name in weights):
        name = f"{each.name}{HALF}"
        each.CopyFrom(numpy_helper.from_array(read_tensor(each, source.parent).astype(np.float16), name))
    nodes, known = list[NodeProto](), set(weights)
    for node in model.graph.node:
        if node.op_type in PRODUCTS:
            nodes += _in_halves(node, known)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    save_graph(model, target, source)
    return {}


def _weights_of_products(model: ModelProto) -> set[str]:
    uses = Counter(name for node in model.graph.node for name in node.input)
    read = Counter(name for node in model.graph.node if node.op_type in PRODUCTS for name in node.input)
    tensors = (each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT)
    return {name for name in tensors if 0 < uses[name] == read[name]}


def _in_halves(node: NodeProto, known: set[str]) -> list[NodeProto]:
    """The product between casts; ``known``: what there is in half precision already."""
    casts = []
    for name in filter(None, node.input):
        if name not in known:
            known.add(name)
            casts.append(helper.make_node("Cast", [name], [f"{name}{HALF}"], to=TensorProto.FLOAT16))
    output = node.output[0]
    node.input[:] = [name and f"{name}{HALF}" for name in node.input]
    node.output[:] = [f"{output}/product"]
    return [*casts, node, helper.make_node("Cast", [f"{output}/product"], [output], to=TensorProto.FLOAT)]
