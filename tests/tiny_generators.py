"""Tiny random models that generate, one a family, each a model folder with a real tokenizer of its kind.

    make_t5      encoder and decoder as of T5 1.1, relative positions; Unigram pieces, ``</s>`` appended
    make_gpt2    learned positions, output tied to input; byte-level BPE, nothing added
    make_llama   rotary positions, two key/value heads for four; BPE over ▁ with byte fallback, ``<s>`` in front

Their weights are large, so that what they say is varied and depends on the prompt: with the small ones of a common
initialisation a model repeats one token for ever, whatever the code that decodes it does. The end token's are larger
still, so that some answers end by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

PROMPTS = (
    "a",
    "The parcel is",
    "Where is my order? It was shipped on Monday, and nobody knows",
    "  two spaces, a tab\tand a\nnew line  ",
    "Wo bleibt mein Paket? Die Straße heißt Größenweg",
    "我的包裹在哪里？我想退货",
    "Ça va très bien, merci",
    "שלום עולם, مرحبا بالعالم",
    "I ❤️ this 😀👩‍👩‍👧 really 🇩🇪",
    "e\u0301 is not é, nor is ﬁ fi",
    "1234567890 + 42 = ?",
    "UPPER lower MiXeD <b>tags</b> & {braces}",
)
"""Prompts of very different lengths: scripts, emoji, combining marks, right-to-left text."""

_SUBJECTS = (
    ("my parcel", "the blue lamp", "order 17", "that subscription", "our last purchase", "your newest catalogue"),
    ("das Paket", "die Straße", "unsere Bestellung", "der große Schrank", "ein günstiges Angebot", "mein Konto"),
    ("我的包裹", "退货", "那个订单", "蓝色的灯", "新的目录", "我们的账户"),
)
_SENTENCES = (
    (
        "Where is {}? I ordered it on Monday 😀.",
        "Please cancel {}, I do not want it any more!",
        "I want my money back for {} ❤️, thank you.",
        "Nobody knows when {} was shipped; it is very late.",
    ),
    (
        "Wann kommt {} endlich an? Ich warte schon sehr lange.",
        "Bitte stornieren Sie {} möglichst bald.",
        "Können Sie mir sagen, wo {} geblieben ist?",
        "Für {} möchte ich mein Geld zurück, vielen Dank!",
    ),
    ("请问{}在哪里？", "我想取消{}，谢谢！", "{}什么时候才能发货？", "我要为{}申请退款 😀。"),
)


def tiny_corpus() -> list[str]:
    """The 72 sentences in three languages that the tokenizers are trained on."""
    return [
        sentence.format(subject)
        for sentences, subjects in zip(_SENTENCES, _SUBJECTS, strict=True)
        for sentence in sentences
        for subject in subjects
    ]


def make_t5(folder: Path, factor: float = 2.0) -> Path:
    """A T5 of width 32, with two encoder and two decoder layers; ``factor`` multiplies its first weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _unigram_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    model = _spread(T5ForConditionalGeneration, config, factor, end_factor=1.5, seed=5)
    # A T5 that repeats one token sees the same at every place, but for where it is: let that count.
    model.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data *= 8
    return _save(model, tokenizer, folder)


def make_gpt2(folder: Path) -> Path:
    """A GPT-2 of width 32 and two layers, with 128 positions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = _byte_level_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(_spread(GPT2LMHeadModel, config, 0.3, end_factor=3.0), tokenizer, folder)


def make_llama(folder: Path) -> Path:
    """A Llama of width 32 and two layers, with 128 positions."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _byte_fallback_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(_spread(LlamaForCausalLM, config, 0.3, end_factor=1.7), tokenizer, folder)


MAKERS: dict[str, Callable[[Path], Path]] = {"t5": make_t5, "gpt2": make_gpt2, "llama": make_llama}

# Of common size: T5 does not scale its attention, so that large weights would show float rounding, and that alone.
BACKBONES: dict[str, Callable[[Path], Path]] = {
    "text2text-generation": partial(make_t5, factor=1.0),
    "text-generation": make_gpt2,
}
"""What is trained for a task whose answers are generated."""


def _spread(kind: Any, config: Any, factor: float, *, end_factor: float, seed: int = 0) -> Any:
    import torch

    torch.set_num_threads(1)  # two test processes on two cores would otherwise wait for each other's threads
    torch.manual_seed(seed)
    setattr(config, "initializer_factor" if hasattr(config, "initializer_factor") else "initializer_range", factor)
    model = kind(config)
    with torch.no_grad():
        model.get_output_embeddings().weight[config.eos_token_id] *= end_factor
    return model


def _save(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _unigram_tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace
    from tokenizers.trainers import UnigramTrainer
    from transformers import T5Tokenizer

    trained = Tokenizer(Unigram())
    trained.pre_tokenizer = Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = UnigramTrainer(vocab_size=320, special_tokens=special, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator(tiny_corpus(), trainer)
    return T5Tokenizer(vocab=_pieces(trained), extra_ids=10, model_max_length=128)


def _byte_level_tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer
    from transformers import GPT2Tokenizer

    trained = Tokenizer(BPE())
    trained.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=400,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    trained.train_from_iterator(tiny_corpus(), trainer)
    return GPT2Tokenizer(vocab=trained.get_vocab(), merges=_merges(trained), model_max_length=128)


def _byte_fallback_tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Metaspace
    from tokenizers.trainers import BpeTrainer
    from transformers import LlamaTokenizer

    trained = Tokenizer(BPE())
    trained.pre_tokenizer = Metaspace()
    trained.train_from_iterator(tiny_corpus(), BpeTrainer(vocab_size=240, show_progress=False))
    learned = trained.get_vocab()
    pieces = sorted(learned, key=learned.__getitem__)
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    vocabulary = {name: at for at, name in enumerate(names)}
    return LlamaTokenizer(vocab=vocabulary, merges=_merges(trained), add_bos_token=True, model_max_length=128)


def _state(trained: Any) -> dict[str, Any]:
    import json

    state: dict[str, Any] = json.loads(trained.to_str())["model"]
    return state


def _pieces(trained: Any) -> list[tuple[str, float]]:
    """The special pieces, then the others by name: the trainer's own order differs from run to run."""
    pieces = [(piece, score) for piece, score in _state(trained)["vocab"]]
    return [*pieces[:3], *sorted(pieces[3:])]


def _merges(trained: Any) -> Sequence[tuple[str, str]]:
    return [(left, right) for left, right in _state(trained)["merges"]]
