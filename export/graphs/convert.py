"""Writes a checkpoint's fp32 graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.graphs.encoder import encoder_conversion, read_graph_inputs
from export.graphs.generator import export_causal, export_seq2seq
from export.graphs.graph_file import load_graph
from export.graphs.to_onnx import to_onnx
from serving.bundle.manifest import GraphInput
from trainer.model.checkpoint import Checkpoint
from trainer.model.heads import LibraryModel

GRAPH, ENCODER, DECODER = "model.onnx", "encoder.onnx", "decoder.onnx"


@dataclass(frozen=True)
class Graphs:
    """``inputs`` are those of an encoder."""

    file: str
    decoder: str | None
    inputs: list[GraphInput]
    opset: int

    @property
    def files(self) -> list[str]:
        return [self.file, *([self.decoder] if self.decoder else [])]


def write_graphs(checkpoint: Checkpoint, folder: Path) -> Graphs:
    """The checkpoint was loaded with ``attn_implementation="eager"``; each graph has a data file."""
    head = checkpoint.model_spec.head
    if head not in ("causal", "seq2seq"):
        to_onnx(encoder_conversion(checkpoint), folder / GRAPH)
        _declare_logits(folder / GRAPH, checkpoint.task.logits_per_window)
        return Graphs(GRAPH, None, read_graph_inputs(folder / GRAPH), _read_opset(folder / GRAPH))
    assert isinstance(checkpoint.model, LibraryModel)
    if head == "causal":
        export_causal(checkpoint.model.model, folder / GRAPH)
        return Graphs(GRAPH, None, [], _read_opset(folder / GRAPH))
    export_seq2seq(checkpoint.model.model, folder / ENCODER, folder / DECODER)
    return Graphs(ENCODER, DECODER, [], _read_opset(folder / DECODER))


def _declare_logits(path: Path, width: int) -> None:
    """As the one output, of the width that a session compares with the manifest: an exporter may lose that.

    Other outputs keep their names in the graph, for `export.bundle.hub`.
    """
    model = load_graph(path)
    axis, more = model.graph.output[0].type.tensor_type.shape.dim[-1], model.graph.output[1:]
    if axis.HasField("dim_value") and not more:
        return
    axis.dim_value = width
    del model.graph.output[1:]
    path.write_bytes(model.SerializeToString())


def _read_opset(path: Path) -> int:
    versions = [each.version for each in load_graph(path).opset_import if each.domain in ("", "ai.onnx")]
    return int(versions[0])
