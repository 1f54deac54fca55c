"""config.json and tokenizer_config.json: nothing in them may load, fetch or run what is not the model's own.

transformers makes every key of config.json an attribute, and obeys some that name other files, hub kernels, code or
a way to load. Counts are checked too, because it builds lists of them before it reads any weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

from serving.errors import InputError, quote

Config = dict[str, Any]

REDIRECTING = frozenset({
    # other files
    "configuration_files", "fast_tokenizer_files", "gguf_file", "init_inputs", "merges", "tokenizer_object",
    "transformers_weights", "vocab",
    # another way to load or to compute
    "compression_config", "distributed_config", "fusion_config", "kernel_config", "quantization_config",
    "trust_remote_code", "use_kernels",
})  # fmt: skip

CHOICES: dict[str, tuple[Any, ...]] = {
    "attn_implementation": (None, "eager", "sdpa"),
    "_attn_implementation": (None, "eager", "sdpa"),
    "experts_implementation": (None, "eager", "grouped_mm", "batched_mm"),
    "_experts_implementation": (None, "eager", "grouped_mm", "batched_mm"),
    "dtype": (None, "auto", "float64", "float32", "float16", "bfloat16"),
    "torch_dtype": (None, "auto", "float64", "float32", "float16", "bfloat16"),
}
"""transformers takes any other value for the name of a hub kernel, or of anything in torch."""

SETTABLE = frozenset({
    *CHOICES, "architectures", "chunk_size_feed_forward", "default_theta", "id2label", "is_encoder_decoder", "label2id",
    "model_type", "name_or_path", "num_labels", "output_attentions", "output_hidden_states",
    "per_layer_config", "problem_type", "return_dict", "rope_scaling", "transformers_version", "use_return_dict",
})  # fmt: skip
"""Of the attributes of PretrainedConfig; a key must not replace the others, such as its methods."""

_COUNT = re.compile(r"(?:(?:num|n)_.*)?(?:layer|layers|blocks|groups|depth)|num_labels|.*_layers")
_SIZE = re.compile(
    r".*(?:hidden|intermediate|embedding|ffn|inner)_(?:size|dim)|vocab_size|d_model|d_ff|d_kv|n_embd|n_head|"
    r"(?:.*attention_|num_|key_value_)heads|num_hidden_layers|(?:en|de)coder_layers|n_layers?|num_layers"
)
_FEWEST_TENSORS = 256
_MOST_LABELS = 100_000
_LARGEST = 2**31 - 1
_MOST_TOKENS, _LENGTH = 100_000, re.compile(r"len|max|stride|id$")
"""transformers makes as many tokens as some numbers say, such as T5's ``extra_ids``; a length may be very large."""


def check_config(config: Config, model: str, tensors: int) -> None:
    """Raises InputError; ``tensors`` are those of the weights, of which each layer has one at least."""
    for part in _configs(config):
        _refuse_redirection(part, model, "config.json")
        for key, value in part.items():
            if key in CHOICES and value not in CHOICES[key]:
                accepted = ", ".join(map(str, CHOICES[key][1:]))
                raise _refusal(model, "config.json", key, value, f"accepted are {accepted}, or no such key")
            if key not in SETTABLE and hasattr(PretrainedConfig, key):
                raise _refusal(model, "config.json", key, value, "it would replace a part of transformers")
            _check_number(key, value, model, tensors)
        _check_tokenizer_class(part, model, "config.json")
        if not isinstance(part.get("model_type", ""), str):
            raise _refusal(model, "config.json", "model_type", part["model_type"], "a text is accepted")


def check_tokenizer_config(config: Config, model: str) -> None:
    """Raises InputError."""
    _refuse_redirection(config, model, "tokenizer_config.json")
    for key, value in config.items():
        if type(value) is int and abs(value) > _MOST_TOKENS and not _LENGTH.search(key):
            why = f"at most {_MOST_TOKENS:,} is accepted"
            raise _refusal(model, "tokenizer_config.json", key, value, why)
    _check_tokenizer_class(config, model, "tokenizer_config.json")


def _configs(config: Config) -> Iterator[Config]:
    """With the configurations of its parts; other mappings, such as those of labels, have keys of any name."""
    yield config
    for key, value in config.items():
        if isinstance(value, dict) and key.endswith("per_layer_config"):
            yield from (part for layer in value.values() if isinstance(layer, dict) for part in _configs(layer))
        elif isinstance(value, dict) and (key.endswith("config") or key in ("encoder", "decoder")):
            yield from _configs(value)


def _refuse_redirection(config: Config, model: str, file: str) -> None:
    if "auto_map" in config:
        raise InputError(
            f"model: {model}: brings code of its own (auto_map in {file}), which is never run", field="model"
        )
    for key in sorted(REDIRECTING & config.keys()):
        if config[key] not in (None, False, [], {}):
            raise _refusal(model, file, key, config[key], "it would be loaded otherwise than from its own plain files")


def _check_tokenizer_class(config: Config, model: str, file: str) -> None:
    name = config.get("tokenizer_class")
    if name is None:
        return
    kind = tokenizer_class_from_name(name) if isinstance(name, str) else int
    if kind is not None and not (isinstance(kind, type) and issubclass(kind, PreTrainedTokenizerBase)):
        raise _refusal(model, file, "tokenizer_class", name, "the name of a tokenizer of transformers is accepted")


def _check_number(key: str, value: Any, model: str, tensors: int) -> None:
    accepted = ""
    if isinstance(value, int) and abs(value) > _LARGEST:
        accepted = f"at most {_LARGEST:,} is accepted"
    elif isinstance(value, float) and math.isnan(value):
        accepted = "a number is accepted"
    elif _COUNT.fullmatch(key) and type(value) in (int, float):
        most = _MOST_LABELS if key == "num_labels" else max(tensors, _FEWEST_TENSORS)
        why = "" if key == "num_labels" else f" by the {tensors} tensors of its weights"
        accepted = "" if _is_count(value, 0, most) else f"a whole number from 0 to {most:,} is accepted{why}"
    if not accepted and _SIZE.fullmatch(key) and value is not None and not isinstance(value, (list, dict)):
        least = 1 if "layer" in key else 0
        accepted = "" if _is_count(value, least, _LARGEST) else f"a whole number from {least} is accepted"
    if accepted:
        raise _refusal(model, "config.json", key, value, accepted)


def _is_count(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _refusal(model: str, file: str, key: str, value: Any, why: str) -> InputError:
    return InputError(
        f"model: {model}: {file}: {key}: {quote(value)} cannot be used: {why}; mend the file, or choose another base"
        " model",
        field="model",
    )
