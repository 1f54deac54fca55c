"""What an architecture can do is known from its config.json, before anything is loaded or trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

from serving.errors import InputError
from trainer.model.architecture import (
    check_head,
    has_library_head,
    kind_of,
    most_positions,
    natural_pooling,
    read_architecture,
)
from trainer.model.heads import Head, pool

KINDS = {
    "bert": ("encoder", "cls"),
    "modernbert": ("encoder", "cls"),
    "xlnet": ("encoder", "last"),
    "nomic_bert": ("encoder", "cls"),
    "gpt2": ("causal", "last"),
    "llama": ("causal", "last"),
    "qwen3": ("causal", "last"),
    "bloom": ("causal", "last"),
    "bart": ("encoder-decoder", "last"),
    "t5": ("encoder-decoder", "mean"),
}


@pytest.mark.parametrize("model_type", KINDS)
def test_kind_and_pooling(model_type: str) -> None:
    """A causal model's text is its last token's vector: only that token has read all of it."""
    config = AutoConfig.for_model(model_type)

    assert (kind_of(config), natural_pooling(config)) == KINDS[model_type]


def test_a_causal_model_that_reads_both_ways_is_an_encoder() -> None:
    """EmbeddingGemma has a causal family's name and reads both ways."""
    config = AutoConfig.for_model("gemma3_text", use_bidirectional_attention=True)

    assert (kind_of(config), kind_of(AutoConfig.for_model("gemma3_text"))) == ("encoder", "causal")


@pytest.mark.parametrize("head", ["sequence", "token", "span"])
def test_heads_that_look_for_padding_in_the_text_are_not_used(head: Head) -> None:
    """transformers' heads of causal models need a padding token, and XLNet's needs padding on the left."""
    for model_type in ("gpt2", "llama", "bart", "xlnet"):
        assert not has_library_head(AutoConfig.for_model(model_type), head)
    assert has_library_head(AutoConfig.for_model("bert"), head)


REFUSED: list[tuple[str, Head, str]] = [
    ("bert", "causal", r"model: mine: is of kind 'encoder' .*needs 'causal', such as GPT-2"),
    ("xlnet", "causal", r"model: mine: is of kind 'encoder'"),
    ("bert", "seq2seq", r"needs 'encoder-decoder', such as T5, BART or Marian"),
    ("gpt2", "seq2seq", r"is of kind 'causal' \(model_type 'gpt2'\)"),
    ("t5", "causal", r"is of kind 'encoder-decoder'"),
    ("marian", "sequence", r"an encoder-decoder of model_type 'marian' only generates; for this task give"),
    ("pegasus", "span", r"only generates"),
]


@pytest.mark.parametrize(("model_type", "head", "message"), REFUSED)
def test_a_head_that_an_architecture_cannot_have(model_type: str, head: Head, message: str) -> None:
    """The message says what the model is and what the task needs."""
    with pytest.raises(InputError, match=message) as caught:
        check_head(AutoConfig.for_model(model_type), head, "mine")
    assert caught.value.field == "model"


UNREADABLE: dict[str, Any] = {
    "a picture model": ({"model_type": "vit"}, "model_type 'vit' is no text model"),
    "a model of texts and pictures": ({"model_type": "qwen2_vl"}, "is no text model"),
    "a model of sounds": ({"model_type": "whisper"}, "is no text model"),
    "an unknown architecture": ({"model_type": "gpt-17"}, "no architecture that transformers .* knows"),
    "no architecture": ({"hidden_size": 32}, "no architecture that transformers"),
    "a size of the wrong type": ({"model_type": "bert", "hidden_size": "wide"}, "no architecture that transformers"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_config_that_is_no_text_model(name: str, tmp_path: Path) -> None:
    """Refused in one line that names the model and what was found."""
    content, message = UNREADABLE[name]
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        read_architecture(tmp_path, "mine")
    assert "\n" not in str(caught.value)


def test_positions() -> None:
    """As the table has; rotary positions that change with the batch's longest row count up to where they begin to."""
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0], "long_factor": [2.0]}
    sizes = {"hidden_size": 8, "num_attention_heads": 4, "max_position_embeddings": 512}
    long = AutoConfig.for_model("phi3", **sizes, original_max_position_embeddings=64, rope_parameters=rope)
    dynamic = AutoConfig.for_model(
        "llama", max_position_embeddings=512, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    )

    assert most_positions(AutoConfig.for_model("gpt2", n_positions=64)) == 64
    assert (most_positions(long), most_positions(dynamic)) == (64, 512)
    assert most_positions(AutoConfig.for_model("xlnet")) is None
    assert most_positions(AutoConfig.for_model("bloom")) is None


POOLED = {
    "mean": lambda tokens: tokens.mean(dim=0),
    "last": lambda tokens: tokens[-1],
    "max": lambda tokens: tokens.max(dim=0).values,
    "mean_sqrt_len_tokens": lambda tokens: tokens.sum(dim=0) / len(tokens) ** 0.5,
    "weightedmean": lambda tokens: sum(at * token for at, token in enumerate(tokens, 1)) / sum(range(len(tokens) + 1)),
    "max+mean": lambda tokens: torch.cat([tokens.max(dim=0).values, tokens.mean(dim=0)]),
}
"""By sentence-transformers' definitions."""


@pytest.mark.parametrize("tokens", [1, 2, 5])
@pytest.mark.parametrize("pooling", POOLED)
def test_padding_has_no_part_in_a_vector(pooling: str, tokens: int) -> None:
    """On neither side, whatever its vectors hold."""
    torch.manual_seed(0)
    vectors, mask = torch.randn(1, tokens, 2), torch.ones(1, tokens, dtype=torch.long)
    filler = torch.full((1, 3, 2), torch.inf if pooling in ("last", "max") else 99.0)
    none = torch.zeros(1, 3, dtype=torch.long)
    alone = pool(vectors, mask, pooling)

    right = pool(torch.cat([vectors, filler], dim=1), torch.cat([mask, none], dim=1), pooling)
    left = pool(torch.cat([filler, vectors], dim=1), torch.cat([none, mask], dim=1), pooling)
    assert torch.allclose(alone, POOLED[pooling](vectors[0]))
    assert torch.allclose(alone, right)
    assert torch.allclose(alone, left)
