"""One tiny model of each encoder family: random weights, and a real tokenizer of the family's kind.

Each folder has the shape of the family's own checkpoints: config.json, model.safetensors (AutoModel's, without a
head), tokenizer.json and tokenizer_config.json. The configurations differ from the published ones in size alone,
except where a comment says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import zoo_tokenizers

MAX_LENGTH = 128
"""The most tokens each takes: past MPNet's and DeBERTa's linear position buckets and ModernBERT's local window."""


def _bert(folder: Path) -> Path:
    return _make(folder, "bert", zoo_tokenizers.bert())


def _multilingual_bert(folder: Path) -> Path:
    return _make(folder, "bert", zoo_tokenizers.bert(lowercase=False))


def _distilbert(folder: Path) -> Path:
    return _make(folder, "distilbert", zoo_tokenizers.bert("DistilBertTokenizer"), hidden_dim=64)


def _roberta(folder: Path) -> Path:
    return _make(folder, "roberta", zoo_tokenizers.roberta(), **_ROBERTA_TABLES)


def _xlm_roberta(folder: Path) -> Path:
    return _make(folder, "xlm-roberta", zoo_tokenizers.xlm_roberta(), **_ROBERTA_TABLES)


def _mpnet(folder: Path) -> Path:
    return _make(folder, "mpnet", zoo_tokenizers.mpnet(), max_position_embeddings=MAX_LENGTH + 2)


def _electra(folder: Path) -> Path:
    return _make(folder, "electra", zoo_tokenizers.bert(), embedding_size=16)


def _albert(folder: Path) -> Path:
    return _make(folder, "albert", zoo_tokenizers.albert(), embedding_size=16)


def _deberta_v2(folder: Path) -> Path:
    return _make(folder, "deberta-v2", zoo_tokenizers.deberta(), **_DEBERTA, conv_kernel_size=3, conv_act="gelu")


def _deberta_v3(folder: Path) -> Path:
    return _make(folder, "deberta-v2", zoo_tokenizers.deberta(), **_DEBERTA)


def _modernbert(folder: Path) -> Path:
    # Every third layer of the published models sees the whole text; here it is the first of two.
    tokenizer = zoo_tokenizers.modernbert()
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("cls", "sep")}
    special |= {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    return _make(folder, "modernbert", tokenizer, **special, local_attention=16, global_attn_every_n_layers=2)


def _nomic_bert(folder: Path) -> Path:
    return _make(folder, "nomic_bert", zoo_tokenizers.bert())


def _jina_v3(folder: Path) -> Path:
    return _make(folder, "jina_embeddings_v3", zoo_tokenizers.xlm_roberta())


def _eurobert(folder: Path) -> Path:
    return _make(folder, "eurobert", zoo_tokenizers.eurobert(), num_key_value_heads=2)


def _xlnet(folder: Path) -> Path:
    sizes = {"d_inner": 64, "d_head": 8, "max_position_embeddings": None}
    return _make(folder, "xlnet", zoo_tokenizers.xlnet(), d_model=32, n_head=4, **sizes)


def _gpt2(folder: Path) -> Path:
    return _make(folder, "gpt2", zoo_tokenizers.gpt2(), head="causal", n_inner=64)


def _gpt_neox(folder: Path) -> Path:
    return _make(folder, "gpt_neox", zoo_tokenizers.gpt_neox(), head="causal")


def _llama(folder: Path) -> Path:
    return _make(folder, "llama", zoo_tokenizers.llama(), head="causal", num_key_value_heads=2)


def _opt(folder: Path) -> Path:
    # As OPT-350m: embeddings narrower than the layers, which the last vectors are projected back to.
    return _make(folder, "opt", zoo_tokenizers.opt(), head="causal", ffn_dim=64, word_embed_proj_dim=16)


def _qwen2(folder: Path) -> Path:
    return _make(folder, "qwen2", zoo_tokenizers.qwen(), head="causal", num_key_value_heads=2)


def _qwen3(folder: Path) -> Path:
    return _make(folder, "qwen3", zoo_tokenizers.qwen(), head="causal", num_key_value_heads=2, head_dim=8)


def _t5(folder: Path) -> Path:
    # As T5 1.1; the encoder alone reads.
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "initializer_factor": 1.0}
    options = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0}
    return _make(folder, "t5", zoo_tokenizers.t5(), head="seq2seq", **sizes, **options)


def _bart(folder: Path) -> Path:
    return _make(folder, "bart", zoo_tokenizers.bart(), head="seq2seq", **_BART)


def _mbart(folder: Path) -> Path:
    return _make(folder, "mbart", zoo_tokenizers.mbart(), head="seq2seq", decoder_start_token_id=2, **_BART)


def _marian(folder: Path) -> Path:
    # A text begins as a padding token does; the positions are sines.
    return _make(folder, "marian", zoo_tokenizers.marian(), head="seq2seq", decoder_start_token_id=0, **_BART)


def _phi(folder: Path) -> Path:
    return _make(folder, "phi", zoo_tokenizers.gpt2(), head="causal")


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "BERT": _bert,
    "mBERT": _multilingual_bert,
    "DistilBERT": _distilbert,
    "RoBERTa": _roberta,
    "XLM-R": _xlm_roberta,
    "MPNet": _mpnet,
    "ELECTRA": _electra,
    "ALBERT": _albert,
    "DeBERTa-v2": _deberta_v2,
    "DeBERTa-v3": _deberta_v3,
    "ModernBERT": _modernbert,
    "EuroBERT": _eurobert,
    "NomicBERT": _nomic_bert,
    "Jina v3": _jina_v3,
    "XLNet": _xlnet,
    "BART": _bart,
    "T5": _t5,
    "GPT-2": _gpt2,
    "GPT-NeoX": _gpt_neox,
    "Llama": _llama,
    "OPT": _opt,
    "Qwen2": _qwen2,
    "Qwen3": _qwen3,
}
"""Family, as the field writes it, to a function that fills an empty or absent folder and returns it."""

GENERATORS: dict[str, Callable[[Path], Path]] = {
    "Phi": _phi,
    "Marian": _marian,
    "mBART": _mbart,
}
"""The same of families that only generate."""

# Positions are numbered from pad_token_id + 1, so two places of the table hold no token.
_ROBERTA_TABLES = {"max_position_embeddings": MAX_LENGTH + 2, "type_vocab_size": 1}
_DEBERTA = {
    "relative_attention": True,
    "position_buckets": 16,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "pooler_hidden_size": 32,
}
_BART = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "init_std": 0.2,
}
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": MAX_LENGTH,
    "initializer_range": 0.2,  # at the usual 0.02 and this width, all texts would get nearly the same answer
}


def _make(folder: Path, model_type: str, tokenizer: Any, **options: Any) -> Path:
    """Of the configuration, and ``head``: the output layer that the family's checkpoints have."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    torch.set_num_threads(1)  # as in tests.tiny
    kind = {"causal": AutoModelForCausalLM, "seq2seq": AutoModelForSeq2SeqLM}.get(options.pop("head", ""), AutoModel)
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    settings = _SIZES | {"vocab_size": len(tokenizer)} | special | options
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{name: each for name, each in settings.items() if each is not None})
    model = kind.from_config(config)
    _roughen(model)
    model.save_pretrained(folder)
    tokenizer.model_max_length = MAX_LENGTH
    tokenizer.save_pretrained(folder)
    return folder


def _roughen(model: Any) -> None:
    """Biases, norms and padding rows that are not the neutral 0 or 1, under which a lost one would go unseen."""
    import torch

    with torch.no_grad():
        for values in model.parameters():
            values.add_(torch.randn_like(values) * 0.1)
