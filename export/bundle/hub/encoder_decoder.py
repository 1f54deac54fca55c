"""The two graphs of an encoder-decoder as Optimum and transformers.js read them.

    encoder_model.onnx         input_ids, attention_mask → last_hidden_state
    decoder_model_merged.onnx  input_ids, encoder_attention_mask, encoder_hidden_states, use_cache_branch [1], and all
                               past_key_values.0.decoder.key … → logits, present.0.decoder.key …

A bundle's encoder computes the keys and values of cross-attention; theirs belong to the first step of the decoder. So
these nodes move there, behind ``use_cache_branch``: without a cache they run, and the past is taken for empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.bundle.hub.graph import Closing, close_long_texts, data_name
from export.graphs.graph_file import data_file, load_graph, save_graph

ENCODER, DECODER = "encoder_model.onnx", "decoder_model_merged.onnx"
HIDDEN, USES_CACHE = "last_hidden_state", "use_cache_branch"
MOVED = "cross."
"""Before the names of what was the encoder's."""

_CROSS = ".encoder."


def write_encoder_decoder(encoder: Path, decoder: Path, folder: Path, closing: Closing | None = None) -> list[Path]:
    """From a bundle's graphs; returns both files."""
    first, second = load_graph(encoder), load_graph(decoder)
    cross = _keep(load_graph(encoder), [each.name for each in first.graph.output if each.name != HIDDEN], {HIDDEN})
    _merge(second.graph, cross.graph, next(each for each in first.graph.output if each.name == HIDDEN))
    split = next((path for path in (encoder, decoder) if data_file(path).exists()), decoder)
    _keep(first, [HIDDEN], set())
    if closing:
        close_long_texts(first, closing)
    for model, name in ((first, ENCODER), (second, DECODER)):
        save_graph(model, folder / name, split, data_name(name))
    return [folder / ENCODER, folder / DECODER]


def _keep(model: ModelProto, outputs: Sequence[str], given: set[str]) -> ModelProto:
    """What computes some outputs, from the inputs or from what is ``given``."""
    graph, needed, nodes = model.graph, set(outputs), list[NodeProto]()
    for node in reversed(graph.node):
        if needed & set(node.output) - given:
            nodes.append(node)
            needed |= set(node.input)
    kept = (
        [*reversed(nodes)],
        [each for each in graph.initializer if each.name in needed],
        [each for each in graph.output if each.name in outputs],
    )
    for place, found in zip((graph.node, graph.initializer, graph.output), kept, strict=True):
        copies = [type(each).FromString(each.SerializeToString()) for each in found]
        del place[:]
        place.extend(copies)
    return model


def _merge(graph: GraphProto, cross: GraphProto, hidden: ValueInfoProto) -> None:
    """Into the decoder's graph."""
    own = [each.name for each in cross.initializer] + [name for node in cross.node for name in node.output]
    names = {name: f"{MOVED}{name}" for name in own} | {HIDDEN: "encoder_hidden_states"}
    for initializer in cross.initializer:
        initializer.name = names[initializer.name]
    for node in cross.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    pasts = [each for each in graph.input if each.name.startswith("past_key_values.")]
    for node in graph.node:
        node.input[:] = [_read(name, pasts) for name in node.input]
    choice = helper.make_node(
        "If",
        [USES_CACHE],
        [_chosen(each.name) for each in pasts],
        then_branch=_branch("cached", pasts, _identities(pasts, {})),
        else_branch=_branch("first", pasts, [*cross.node, *_first_step(pasts, names)]),
    )
    nodes = [choice, *graph.node]
    crosses = [each for each in pasts if _CROSS in each.name]
    nodes += [helper.make_node("Identity", [_chosen(each.name)], [_present(each.name)]) for each in crosses]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*cross.initializer, *_bounds()])
    graph.output.extend(_renamed(each, _present(each.name)) for each in crosses)
    graph.input.extend(
        [_renamed(hidden, "encoder_hidden_states"), helper.make_tensor_value_info(USES_CACHE, TensorProto.BOOL, [1])]
    )


def _first_step(pasts: Sequence[ValueInfoProto], names: Mapping[str, str]) -> list[NodeProto]:
    """The computed keys and values of cross-attention, and nothing of the past: callers may give a dummy one."""
    own = [each for each in pasts if _CROSS not in each.name]
    bounds = [each.name for each in _bounds()]
    empty = [helper.make_node("Slice", [each.name, *bounds], [f"first.{each.name}"]) for each in own]
    computed = {each.name: names[_present(each.name)] for each in pasts if _CROSS in each.name}
    return [*empty, *_identities([each for each in pasts if _CROSS in each.name], computed, "first.")]


def _identities(
    pasts: Iterable[ValueInfoProto], sources: Mapping[str, str], prefix: str = "cached."
) -> list[NodeProto]:
    return [
        helper.make_node("Identity", [sources.get(each.name, each.name)], [f"{prefix}{each.name}"]) for each in pasts
    ]


def _branch(name: str, pasts: Iterable[ValueInfoProto], nodes: Iterable[NodeProto]) -> GraphProto:
    return helper.make_graph([*nodes], name, [], [_renamed(each, f"{name}.{each.name}") for each in pasts])


def _bounds() -> list[TensorProto]:
    """Of an empty slice of the tokens' axis."""
    values = {"start": 0, "end": 0, "axis": 2}
    return [numpy_helper.from_array(np.array([value]), f"{MOVED}{name}") for name, value in values.items()]


def _read(name: str, pasts: Iterable[ValueInfoProto]) -> str:
    return _chosen(name) if any(each.name == name for each in pasts) else name


def _chosen(name: str) -> str:
    return f"chosen.{name}"


def _present(name: str) -> str:
    return name.replace("past_key_values.", "present.")


def _renamed(value: ValueInfoProto, name: str) -> ValueInfoProto:
    copy = ValueInfoProto()
    copy.CopyFrom(value)
    copy.name = name
    return copy
