"""Generating models in ONNX give torch's logits, whatever the rows, the cache and the padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import transformers

from export.graphs.generator import export_causal, export_seq2seq
from serving.errors import InputError
from tests.sharing import made_once

SHAPES = ((1, 0, 1), (1, 0, 9), (3, 0, 6), (1, 40, 1), (3, 7, 1), (2, 9, 4))
"""Rows, tokens in the cache, new tokens."""

SMALL: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

Arrays = dict[str, Any]


def gpt2(**settings: Any) -> Any:
    sizes = {"vocab_size": 200, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **settings}
    return transformers.GPT2Config(initializer_range=0.3, bos_token_id=1, eos_token_id=1, **sizes)


def t5(**settings: Any) -> Any:
    sizes = {"vocab_size": 200, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, **settings}
    return transformers.T5Config(decoder_start_token_id=0, initializer_factor=2.0, **sizes)


CAUSAL: dict[str, Callable[[], Any]] = {
    "gpt2": gpt2,
    "llama": lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=2),
    "mistral, a window of 8": lambda: transformers.MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=8),
    "qwen2": lambda: transformers.Qwen2Config(**SMALL, num_key_value_heads=2),
    "llama, dynamic positions": lambda: transformers.LlamaConfig(
        **SMALL, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    ),
    "phi3, long positions": lambda: transformers.Phi3Config(
        **SMALL, pad_token_id=0, original_max_position_embeddings=64, max_position_embeddings=512,
        rope_parameters={"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.1] * 4, "long_factor": [2] * 4},
    ),
    "gpt-neox": lambda: transformers.GPTNeoXConfig(**SMALL),
    "bloom, no positions": lambda: transformers.BloomConfig(
        vocab_size=200, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3
    ),
}  # fmt: skip
SEQ2SEQ: dict[str, Callable[[], Any]] = {
    "t5": t5,
    "t5 1.1": lambda: t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "t5, more decoder layers": lambda: t5(num_decoder_layers=3),
    "bart": lambda: transformers.BartConfig(
        vocab_size=200, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, init_std=0.3,
    ),
}  # fmt: skip


def eager(kind: Any, config: Any) -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return kind.from_config(config, attn_implementation="eager").eval()


def causal(config: Any) -> Any:
    return eager(transformers.AutoModelForCausalLM, config)


def seq2seq(config: Any) -> Any:
    return eager(transformers.AutoModelForSeq2SeqLM, config)


@pytest.fixture
def seq2seq_graphs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Graph, Graph]]:
    """The encoder and the decoder of a kind, exported once a test run."""

    def load(kind: str) -> tuple[Graph, Graph]:
        def export_kind(folder: Path) -> None:
            export_seq2seq(seq2seq(SEQ2SEQ[kind]()), folder / "encoder.onnx", folder / "decoder.onnx")

        folder = made_once(tmp_path_factory, f"graphs-{kind}", export_kind)
        return Graph(folder / "encoder.onnx"), Graph(folder / "decoder.onnx")

    return load


class Graph:
    """A session that ignores inputs its graph does not have."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {node.name: node.shape for node in self.session.get_inputs()}
        self.outputs = [node.name for node in self.session.get_outputs()]

    def run(self, facts: Arrays) -> Arrays:
        taken = {name: np.asarray(value) for name, value in facts.items() if name in self.inputs}
        return dict(zip(self.outputs, self.session.run(None, taken), strict=True))

    def empty(self, rows: int) -> Arrays:
        pasts = {name: shape for name, shape in self.inputs.items() if "past" in name and ".encoder." not in name}
        return {name: np.zeros((rows, shape[1], 0, shape[3]), np.float32) for name, shape in pasts.items()}


def as_past(outputs: Arrays) -> Arrays:
    return {name.replace("present", "past_key_values"): each for name, each in outputs.items() if "present" in name}


def ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(3, 200, (rows, length), generator=torch.Generator().manual_seed(rows * 100 + length))


def parts(past: int, new: int) -> list[slice]:
    return [slice(0, past)] * (past > 0) + [slice(past, past + new)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CAUSAL)
def test_a_causal_graph_gives_torchs_logits(kind: str, tmp_path: Path) -> None:
    """Prompt alone, prompt and cache, one row and several, padded on the left: every kept position agrees."""
    model = causal(CAUSAL[kind]())
    export_causal(model, tmp_path / "model.onnx")
    graph = Graph(tmp_path / "model.onnx")
    for rows, past, new in SHAPES:
        tokens = ids(rows, past + new)
        mask = torch.ones_like(tokens)
        mask[0, : 3 if rows > 1 else 0] = 0
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        facts = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions}
        with torch.no_grad():
            wanted = model(**{name: each for name, each in facts.items() if name in graph.inputs}).logits
        cache, found = graph.empty(rows), []
        for part in parts(past, new):
            step: Arrays = {"input_ids": tokens[:, part], "attention_mask": mask[:, : part.stop]}
            step |= {"position_ids": positions[:, part], "num_logits_to_keep": 0}
            outputs = graph.run({**step, **cache})
            cache = as_past(outputs)
            found.append(outputs["logits"])
        difference = np.abs(np.concatenate(found, axis=1) - wanted.numpy())[mask.bool().numpy()]
        assert difference.max() < 1e-4, (rows, past, new)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_seq2seq_graphs_give_torchs_logits(kind: str, seq2seq_graphs: Callable[[str], tuple[Graph, Graph]]) -> None:
    """The encoder once and the decoder in steps agree with the whole model, also with a padded source."""
    model = seq2seq(SEQ2SEQ[kind]())
    encoder, decoder = seq2seq_graphs(kind)
    for rows, past, new in SHAPES:
        source, answer = ids(rows, 3 + past), ids(rows, past + new)
        mask = torch.ones_like(source)
        mask[0, source.shape[1] - 1 :] = 0 if rows > 1 else 1
        with torch.no_grad():
            wanted = model(input_ids=source, attention_mask=mask, decoder_input_ids=answer).logits.numpy()
        read = as_past(encoder.run({"input_ids": source, "attention_mask": mask}))
        cache, found = decoder.empty(rows), []
        for part in parts(past, new):
            facts = {"input_ids": answer[:, part], "encoder_attention_mask": mask}
            outputs = decoder.run({**facts, **read, **cache})
            cache = as_past(outputs)
            found.append(outputs["logits"])
        assert np.abs(np.concatenate(found, axis=1) - wanted).max() < 1e-4 * np.abs(wanted).max(), (rows, past, new)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_rows_may_share_a_source(kind: str, seq2seq_graphs: Callable[[str], tuple[Graph, Graph]]) -> None:
    """Beams of one source share its keys and values: one row is enough."""
    encoder, decoder = seq2seq_graphs(kind)
    mask = np.ones((1, 9), np.int64)
    shared = {**as_past(encoder.run({"input_ids": ids(1, 9), "attention_mask": mask})), "encoder_attention_mask": mask}
    repeated = {name: np.repeat(each, 3, axis=0) for name, each in shared.items()}
    found, wanted = (
        decoder.run({"input_ids": ids(3, 2), **decoder.empty(3), **source})["logits"] for source in (shared, repeated)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_names_are_those_of_optimum(tmp_path: Path) -> None:
    """Other runtimes find the inputs and outputs by Optimum's names."""
    export_causal(causal(gpt2(n_layer=1)), tmp_path / "model.onnx")
    export_seq2seq(seq2seq(t5(num_layers=1)), tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    graph, encoder, decoder = (Graph(tmp_path / f"{name}.onnx") for name in ("model", "encoder", "decoder"))
    kept = ["past_key_values.0.key", "past_key_values.0.value"]
    assert [*graph.inputs] == ["input_ids", "attention_mask", "position_ids", "num_logits_to_keep", *kept]
    assert graph.inputs["past_key_values.0.key"] == ["batch_size", 4, "past_sequence_length", 8]
    assert graph.outputs == ["logits", "present.0.key", "present.0.value"]
    assert encoder.outputs == ["last_hidden_state", "present.0.encoder.key", "present.0.encoder.value"]
    assert [*decoder.inputs] == [
        "input_ids",
        "encoder_attention_mask",
        *(f"past_key_values.0.{part}.{kind}" for part in ("decoder", "encoder") for kind in ("key", "value")),
    ]
    assert decoder.outputs == ["logits", "present.0.decoder.key", "present.0.decoder.value"]


@pytest.mark.slow
def test_only_the_last_logits_are_computed_on_request(tmp_path: Path) -> None:
    """With num_logits_to_keep, only the last positions' logits are computed."""
    export_causal(causal(gpt2()), tmp_path / "model.onnx")
    graph = Graph(tmp_path / "model.onnx")
    facts = {"input_ids": ids(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    facts |= {"position_ids": torch.arange(6).repeat(2, 1), **graph.empty(2)}
    logits = {kept: graph.run({**facts, "num_logits_to_keep": kept})["logits"] for kept in (0, 1, 4)}
    assert [each.shape[1] for each in logits.values()] == [6, 1, 4]
    np.testing.assert_allclose(logits[1], logits[0][:, -1:], atol=1e-5)
    np.testing.assert_allclose(logits[4], logits[0][:, -4:], atol=1e-5)


@pytest.mark.slow
def test_the_source_is_projected_once(tmp_path: Path) -> None:
    """The weights for the source's keys and values are only in the encoder's graph."""
    model = seq2seq(t5())
    export_seq2seq(model, tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    own, cross = (model.decoder.block[0].layer[at] for at in (0, 1))
    weights = {"self": own.SelfAttention.k.weight, "cross": cross.EncDecAttention.k.weight}
    held = {
        (name, kind)
        for name in ("encoder", "decoder")
        for each in onnx.load(tmp_path / f"{name}.onnx").graph.initializer
        for kind, weight in weights.items()
        if np.array_equal(onnx.numpy_helper.to_array(each), weight.detach().numpy().T)
    }
    assert held == {("encoder", "cross"), ("decoder", "self")}


@pytest.mark.slow
def test_tied_embeddings_are_written_once(tmp_path: Path) -> None:
    """If the output layer is the embedding, the files are as large as the weights."""
    model = causal(gpt2(vocab_size=20_000))
    export_causal(model, tmp_path / "model.onnx")
    weights = sum(each.numel() * 4 for each in model.parameters())
    assert weights < sum(each.stat().st_size for each in tmp_path.iterdir()) < 1.1 * weights


def test_a_model_keeps_its_mode(tmp_path: Path) -> None:
    """Exporting does not switch dropout on."""
    model = causal(gpt2(n_layer=1))
    export_causal(model, tmp_path / "model.onnx")
    assert not any(module.training for module in model.modules())


def test_a_state_space_model_is_refused(tmp_path: Path) -> None:
    """A state-space model has no keys and values; the error says what to choose."""
    model = transformers.MambaForCausalLM(transformers.MambaConfig(vocab_size=200, hidden_size=32, num_hidden_layers=1))
    with pytest.raises(InputError, match="more than keys and values; choose"):
        export_causal(model, tmp_path / "model.onnx")
