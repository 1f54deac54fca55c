"""How far below a backbone's last layer a weight is."""

from __future__ import annotations

import pytest
from transformers import AlbertConfig, AlbertModel, AutoModel, BartConfig, BertConfig, GPT2Config, T5Config

from serving.errors import InputError
from trainer.model.layers import distances_from_top

SMALL = {"vocab_size": 20}
BERT = BertConfig(
    **SMALL, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8, max_position_embeddings=16
)
GPT2 = GPT2Config(**SMALL, n_embd=8, n_layer=3, n_head=2, n_positions=16)
T5 = T5Config(**SMALL, d_model=8, d_kv=4, d_ff=8, num_layers=3, num_heads=2)
BART = BartConfig(
    **SMALL, d_model=8, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=16,
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            BERT,
            {"embeddings.word_embeddings.": 3, "encoder.layer.0.": 2, "encoder.layer.2.": 0, "pooler.": 0},
        ),
        (GPT2, {"wte.": 3, "wpe.": 3, "h.0.": 2, "h.1.": 1, "ln_f.": 0}),
        (
            T5,
            {"shared.": 3, "encoder.block.0.": 2, "decoder.block.2.": 0, "final_layer_norm": 0},
        ),
        (BART, {"shared.": 3, "encoder.layers.0.": 1, "decoder.layers.0.": 2, "layernorm_embedding": 3}),
    ],
    ids=["bert", "gpt2", "t5", "bart"],
)
def test_distances(config: object, expected: dict[str, int]) -> None:
    """Layers are counted from the last one, of an encoder and of its decoder each, down to the embeddings."""
    model = AutoModel.from_config(config)
    distances = distances_from_top(model, "training.layerwise_lr_decay")
    assert set(distances) == {id(weight) for weight in model.parameters()}
    for part, distance in expected.items():
        found = {
            distances[id(weight)]
            for name, weight in model.named_parameters()
            if (name.startswith(part) if part.endswith(".") else f".{part}" in f".{name}" and ".block." not in name)
        }
        assert found == {distance}, part


def test_shared_layers() -> None:
    """Layers that share their weights have no distances."""
    config = AlbertConfig(**SMALL, embedding_size=8, hidden_size=8, num_attention_heads=2, intermediate_size=8)
    with pytest.raises(InputError, match=r"layerwise_lr_decay: the base model's layers share their weights"):
        distances_from_top(AlbertModel(config), "training.layerwise_lr_decay")
