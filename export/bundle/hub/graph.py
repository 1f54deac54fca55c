"""A bundle's graph for pipelines of others: what serving computes of the logits afterwards becomes its last nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.graphs.encoder import TOKENS
from export.graphs.graph_file import load_graph, save_graph
from serving.tasks.activations import log_odds
from serving.tasks.base import Task
from serving.tasks.token_classification import OUTSIDE

SURELY = 1e-3
"""How far log odds are from 0 at least, where a threshold decides: a score that shows the side and nothing else."""

LENGTH_FLOOR = 1e-12
"""Of a vector that is scaled to length 1."""


def data_name(name: str) -> str:
    """Where transformers.js and Optimum look for the tensors of a graph above 2 GB."""
    return f"{name}_data"


@dataclass(frozen=True)
class Closing:
    """The special token after a text, and how many tokens a text has at most, this one included."""

    token_id: int
    max_length: int


def write_hub_graph(source: Path, target: Path, task: Task, closing: Closing | None = None) -> None:
    """``source`` is a bundle's graph of this task; outputs get the names that pipelines read."""
    model = load_graph(source)
    if closing:
        close_long_texts(model, closing)
    if append := TAILS.get(task.name):
        append(_Tail(model), task.settings.model_dump(), task)
    save_graph(model, target, source, data_name(target.name))


def close_long_texts(model: ModelProto, closing: Closing) -> None:
    """A row of the most tokens ends with the closing one: transformers.js cuts a long text off with it."""
    nodes = model.graph.node
    for node in nodes:
        node.input[:] = ["closed_ids" if name == "input_ids" else name for name in node.input]
    numbers = {"zero": 0, "one": 1, "longest": closing.max_length, "closing": closing.token_id}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(number), f"hub_{name}") for name, number in numbers.items()
    )
    steps = (
        ("Shape", ["input_ids"], "shape"),
        ("Gather", ["hub_shape", "hub_one"], "length"),
        ("Equal", ["hub_length", "hub_longest"], "full"),
        ("Range", ["hub_zero", "hub_length", "hub_one"], "places"),
        ("Sub", ["hub_longest", "hub_one"], "end"),
        ("Equal", ["hub_places", "hub_end"], "ends"),
        ("And", ["hub_full", "hub_ends"], "cut"),
        ("Equal", ["attention_mask", "hub_one"], "read"),
        ("And", ["hub_cut", "hub_read"], "closes"),
    )
    added = [helper.make_node(operator, names, [f"hub_{to}"]) for operator, names, to in steps]
    added.append(helper.make_node("Where", ["hub_closes", "hub_closing", "input_ids"], ["closed_ids"]))
    rest = [*nodes]
    del nodes[:]
    nodes.extend([*added, *rest])


class _Tail:
    """Nodes after the graph's ``logits``, which are called ``model_logits`` from now on."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self.inner = {name for node in self.graph.node for name in node.output}
        for node in self.graph.node:
            node.output[:] = ["model_logits" if name == "logits" else name for name in node.output]
            node.input[:] = ["model_logits" if name == "logits" else name for name in node.input]
        self._shape = [axis.dim_param or axis.dim_value for axis in self.graph.output[0].type.tensor_type.shape.dim]
        del self.graph.output[:]

    @property
    def logits(self) -> str:
        return "model_logits"

    def add(self, operator: str, *inputs: str | np.ndarray[Any, Any], to: str | None = None, **attributes: Any) -> str:
        """Append a node; arrays become constants. Returns the name of its output."""
        number = len(self.graph.node)
        output = to or f"hub_{number}"
        names = [self._constant(each, f"hub_{number}_{at}") for at, each in enumerate(inputs)]
        self.graph.node.append(helper.make_node(operator, names, [output], f"hub_{operator}_{number}", **attributes))
        return output

    def declare(self, name: str, *axes: str | int) -> None:
        """An output of float32; an empty place among the axes is that of the logits."""
        shape = [axis if axis != "" else self._shape[at] for at, axis in enumerate(axes)]
        self.graph.output.append(_describe(name, shape))

    def _constant(self, value: str | np.ndarray[Any, Any], name: str) -> str:
        if isinstance(value, str):
            return value
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def _describe(name: str, shape: list[str | int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _classify(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    """Two logits for two labels, divided by the temperature. Where a threshold decides, the larger is its choice."""
    temperature, threshold = settings["temperature"], settings["threshold"]
    scaled = tail.add("Div", tail.logits, _floats(temperature))
    if threshold is not None:
        odds = scaled if settings["one_logit"] else tail.add("MatMul", scaled, _floats([[-1], [1]]))
        chosen = tail.add("GreaterOrEqual", odds, _floats(log_odds(np.array(threshold))))
        above, below = tail.add("Max", odds, _floats(SURELY)), tail.add("Min", odds, _floats(-SURELY))
        tail.add("Mul", tail.add("Where", chosen, above, below), _floats([[-0.5, 0.5]]), to="logits")
    elif settings["one_logit"]:
        tail.add("Mul", scaled, _floats([[0, 1]]), to="logits")
    else:
        tail.add("Identity", scaled, to="logits")
    tail.declare("logits", "", len(task.labels))


def _classify_many(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    scales, biases = settings["scales"] or 1.0, settings["biases"] or 0.0
    tail.add("Add", tail.add("Mul", tail.logits, _floats(scales)), _floats(biases), to="logits")
    tail.declare("logits", "", len(task.labels))


def _regress(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    """One axis: transformers.js' pipeline would call the only label of a row of one logit certain; so it fails."""
    number = tail.add("Add", tail.add("Mul", tail.logits, _floats(settings["std"])), _floats(settings["mean"]))
    tail.add("Squeeze", number, np.array([1]), to="logits")
    tail.declare("logits", "")


def _tag(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    bias = [settings["outside_bias"] if label == OUTSIDE else 0.0 for label in task.labels]
    tail.add("Add", tail.logits, _floats(bias), to="logits")
    tail.declare("logits", "", "", len(task.labels))


def _answer(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    scaled = tail.add("Div", tail.logits, _floats(settings["temperature"]))
    for at, name in enumerate(("start_logits", "end_logits")):
        tail.add("Gather", scaled, np.array(at), to=name, axis=2)
        tail.declare(name, "", "")


def _embed(tail: _Tail, settings: dict[str, Any], task: Task) -> None:
    """A vector of length 1, and the tokens' vectors for those who pool themselves."""
    squares = tail.add("ReduceSum", tail.add("Mul", tail.logits, tail.logits), np.array([1]))
    length = tail.add("Max", tail.add("Sqrt", squares), _floats(LENGTH_FLOOR))
    tail.add("Div", tail.logits, length, to="sentence_embedding")
    if TOKENS in tail.inner:
        tail.declare(TOKENS, "", "sequence", settings["dimensions"])
    tail.declare("sentence_embedding", "", settings["dimensions"])


TAILS: dict[str, Callable[[_Tail, dict[str, Any], Task], None]] = {
    "text-classification": _classify,
    "multi-label-classification": _classify_many,
    "regression": _regress,
    "token-classification": _tag,
    "question-answering": _answer,
    "feature-extraction": _embed,
}
"""By task; the graphs of the others are as they are."""

FOLDED: dict[str, dict[str, Any]] = {
    "text-classification": {"temperature": 1.0, "threshold": None, "one_logit": False},
    "multi-label-classification": {"scales": [], "biases": []},
    "regression": {"mean": 0.0, "std": 1.0},
    "token-classification": {"outside_bias": 0.0},
    "question-answering": {"temperature": 1.0},
}
"""By task, the settings that are in the graph now, with the values that do nothing."""


def _floats(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values, dtype=np.float32)
