"""The graphs of a checkpoint, each kind of head in its own way: what is written, and what the manifest says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.graphs.encoder import export_graph, graph_inputs
from export.graphs.generator import export_causal, export_seq2seq
from serving.bundle.manifest import GraphInput
from trainer.model.checkpoint import Checkpoint
from trainer.model.heads import LibraryModel

GRAPH, ENCODER, DECODER = "model.onnx", "encoder.onnx", "decoder.onnx"


@dataclass(frozen=True)
class Graphs:
    """The files that were written into a folder, and what the first one takes."""

    file: str
    decoder: str | None
    inputs: list[GraphInput]

    @property
    def files(self) -> list[str]:
        """All of them."""
        return [self.file, *([self.decoder] if self.decoder else [])]


def write_graphs(checkpoint: Checkpoint, folder: Path) -> Graphs:
    """Write the fp32 graphs; the checkpoint was loaded with ``attn_implementation="eager"``."""
    return _WRITERS.get(checkpoint.model_spec.head, _one_pass)(checkpoint, folder)


def _one_pass(checkpoint: Checkpoint, folder: Path) -> Graphs:
    export_graph(checkpoint, folder / GRAPH)
    return Graphs(GRAPH, None, graph_inputs(folder / GRAPH))


def _causal(checkpoint: Checkpoint, folder: Path) -> Graphs:
    assert isinstance(checkpoint.model, LibraryModel)
    export_causal(checkpoint.model.model, folder / GRAPH)
    return Graphs(GRAPH, None, [])


def _seq2seq(checkpoint: Checkpoint, folder: Path) -> Graphs:
    assert isinstance(checkpoint.model, LibraryModel)
    export_seq2seq(checkpoint.model.model, folder / ENCODER, folder / DECODER)
    return Graphs(ENCODER, DECODER, [])


_WRITERS: dict[str, Callable[[Checkpoint, Path], Graphs]] = {"causal": _causal, "seq2seq": _seq2seq}
