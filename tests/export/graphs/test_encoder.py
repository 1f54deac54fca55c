"""Graphs of encoders give torch's logits at every length, whatever the family computes from lengths and positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoConfig

import export.graphs.to_onnx
from export.graphs.to_onnx import Conversion, to_onnx
from serving.errors import InputError
from trainer.model.architecture import backbone_class, most_positions
from trainer.model.heads import PooledClassifier

LONGEST = 62
LENGTHS = ([1], [2], [LONGEST], [1, 7], [9, 3, LONGEST], [33, 17, 16, 8])
"""Tokens of each row of a batch: past every window below."""

SIZES: dict[str, Any] = {
    "vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = {"num_key_value_heads": 2}
LONG = {"max_position_embeddings": 512, "original_max_position_embeddings": 64}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.1] * 4, "long_factor": [2.0] * 4}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}

TRACED: dict[str, tuple[str, dict[str, Any]]] = {
    "sliding windows": ("mistral", {**GROUPED, "sliding_window": 8}),
    "sliding and full windows": ("gemma3_text", {**GROUPED, "head_dim": 8, "sliding_window": 8}),
    "local and global attention": ("modernbert", {"local_attention": 16, "global_attn_every_n_layers": 2}),
    "ALiBi": ("bloom", {"n_layer": 2, "n_head": 4}),
    "relative positions": ("t5", T5),
    "relative positions by buckets": ("mpnet", {"pad_token_id": 1}),
    "long positions": (
        "phi3",
        {
            **GROUPED,
            "max_position_embeddings": 512,
            "original_max_position_embeddings": 64,
            "rope_parameters": LONGROPE,
        },
    ),
    "dynamic positions": (
        "llama",
        {**GROUPED, "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ),
}
EXPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "interleaved positions": ("cohere", GROUPED),
    "experts": ("mixtral", {**GROUPED, "num_local_experts": 2, "num_experts_per_tok": 1}),
}
"""The tracer fails on these; transformers' exporter does not."""


class Encoder(torch.nn.Module):
    """A classifier with positional inputs, as it is converted."""

    def __init__(self, model_type: str, options: dict[str, Any]) -> None:
        super().__init__()
        torch.set_num_threads(1)
        torch.manual_seed(0)
        config = AutoConfig.for_model(model_type, **SIZES | options)
        self.longest = most_positions(config)
        backbone = backbone_class(config).from_config(config, attn_implementation="eager")
        self.model = PooledClassifier(backbone, "last", 3).eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids, attention_mask)["logits"]


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens, padded on the right."""
    ids = torch.randint(3, 120, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(sum(lengths)))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return ids * mask, mask


def convert(encoder: Encoder, path: Path) -> onnxruntime.InferenceSession:
    free, inputs = {0: "batch", 1: "sequence"}, ["input_ids", "attention_mask"]
    axes = {**dict.fromkeys(inputs, free), "logits": {0: "batch"}}
    to_onnx(Conversion(encoder, [batch([6, 4]), batch([1])], inputs, ["logits"], axes), path)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def check(encoder: Encoder, session: onnxruntime.InferenceSession) -> None:
    """Torch's logits for all lengths, and each row's own alone and beside longer ones."""
    for lengths in LENGTHS:
        ids, mask = batch(lengths)
        feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        with torch.no_grad():
            expected = encoder(ids, mask).numpy()
        found = session.run(["logits"], feeds)[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        for row, length in enumerate(lengths):
            alone = {name: value[row : row + 1, :length] for name, value in feeds.items()}
            np.testing.assert_allclose(session.run(["logits"], alone)[0][0], found[row], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACED)
def test_traced_graphs_give_torchs_logits(name: str, tmp_path: Path) -> None:
    """From one token to past the windows, alone and padded."""
    encoder = Encoder(*TRACED[name])

    check(encoder, convert(encoder, tmp_path / "model.onnx"))
    assert encoder.longest is None or encoder.longest >= LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_where_the_tracer_fails_transformers_exporter_converts(name: str, tmp_path: Path) -> None:
    """The same check, of the graph by the other road, its weights in a data file too."""
    encoder = Encoder(*EXPORTED[name])

    check(encoder, convert(encoder, tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx.data").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relative positions", "ALiBi"])
def test_the_other_road_gives_the_same_answers(name: str, tmp_path: Path) -> None:
    """TorchScript is deprecated: a family that it converts also goes by transformers' exporter."""
    encoder = Encoder(*TRACED[name])
    with (
        mock.patch.object(export.graphs.to_onnx, "TESTED", frozenset()),
        mock.patch.dict(export.graphs.to_onnx.ROADS, {"TorchScript": _fail}),
    ):
        check(encoder, convert(encoder, tmp_path / "model.onnx"))


def _fail(*_: Any, **__: Any) -> None:
    raise RuntimeError("no tracer")


def test_a_model_that_no_road_converts_is_refused_with_the_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the model type and why each road failed; neither exporter prints."""
    encoder = Encoder("fnet", {})
    with (
        mock.patch.dict(export.graphs.to_onnx.ROADS, {"torch.export": _fail}),
        pytest.raises(
            InputError, match=r"'fnet' does \(TorchScript: .*fft.*; torch.export: .*no tracer\); choose"
        ) as caught,
    ):
        convert(encoder, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
