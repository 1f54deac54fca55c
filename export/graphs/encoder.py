"""Encoders to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from export.graphs.graph_file import load_graph
from export.graphs.to_onnx import Conversion
from serving.bundle.manifest import GraphInput
from trainer.model.checkpoint import Checkpoint


class LogitsOnly(nn.Module):
    """Positional inputs in the graph's order, one output."""

    def __init__(self, model: nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.inputs, tensors, strict=True)))["logits"]
        return logits


def read_graph_inputs(path: Path) -> list[GraphInput]:
    """In order; the tracer drops unused token types."""
    return [node.name for node in load_graph(path).graph.input]


def encoder_conversion(checkpoint: Checkpoint) -> Conversion:
    """int64 inputs [batch, sequence], both axes free; float32 ``logits``, batch first.

    Load the checkpoint with ``attn_implementation="eager"``.
    """
    inputs: list[str] = [name for name in get_args(GraphInput) if name in checkpoint.tokenizer.model_input_names]
    rows_tokens = {0: "batch", 1: "sequence"}
    logits = rows_tokens if checkpoint.model_spec.head in ("token", "span") else {0: "batch"}
    # Two rows of different length, so that a trace sees padding.
    texts = (["a first text to trace", "a second"], ["one"], ["a text that has some more words than the others", "?"])
    encoded = [checkpoint.tokenizer(each, padding=True, return_tensors="pt") for each in texts]
    return Conversion(
        LogitsOnly(checkpoint.model, inputs),
        [tuple(each[name] for name in inputs) for each in encoded],
        inputs=inputs,
        outputs=["logits"],
        axes={**dict.fromkeys(inputs, rows_tokens), "logits": logits},
    )
