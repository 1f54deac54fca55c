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
from trainer.model.checkpoint import Checkpoint, ModelSpec

TOKENS = "last_hidden_state"
"""The tokens' vectors, of which a text's is pooled."""

POOLED_ELSEWHERE = frozenset({"mean", "cls"})
"""What transformers.js pools of a padded batch, too."""


class PositionalModel(nn.Module):
    """Inputs and outputs in the graph's order."""

    def __init__(self, model: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        self.outputs = outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results = self.model(**dict(zip(self.inputs, tensors, strict=True)))
        return tuple(results[name] for name in self.outputs)


def read_graph_inputs(path: Path) -> list[GraphInput]:
    """In order; the tracer drops unused token types."""
    return [node.name for node in load_graph(path).graph.input]


def encoder_conversion(checkpoint: Checkpoint) -> Conversion:
    """int64 inputs [batch, sequence], both axes free; float32 ``logits``, batch first, and maybe TOKENS.

    Load the checkpoint with ``attn_implementation="eager"``.
    """
    inputs: list[str] = [name for name in get_args(GraphInput) if name in checkpoint.tokenizer.model_input_names]
    rows_tokens = {0: "batch", 1: "sequence"}
    head = checkpoint.model_spec.head
    outputs = {"logits": rows_tokens if head in ("token", "span") else {0: "batch"}}
    outputs |= {TOKENS: rows_tokens} if head == "vector" and can_be_pooled_elsewhere(checkpoint.model_spec) else {}
    # Two rows of different length, so that a trace sees padding.
    texts = (["a first text to trace", "a second"], ["one"], ["a text that has some more words than the others", "?"])
    encoded = [checkpoint.tokenizer(each, padding=True, return_tensors="pt") for each in texts]
    return Conversion(
        PositionalModel(checkpoint.model, inputs, list(outputs)),
        [tuple(each[name] for name in inputs) for each in encoded],
        inputs=inputs,
        outputs=list(outputs),
        axes={**dict.fromkeys(inputs, rows_tokens), **outputs},
    )


def can_be_pooled_elsewhere(spec: ModelSpec) -> bool:
    """Whether the tokens' vectors are all that other programs need for a text's."""
    return spec.pooling in POOLED_ELSEWHERE and not spec.dense
