"""A base model's ``generation_config.json``: what serving does too, and what it must refuse.

transformers' ``generate``, the proof's reference, obeys this file. Answers are greedy unless a request asks for
more, so that beams and sampling are left out on both sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from serving.errors import InputError
from serving.tasks.base import TaskSettings
from serving.tasks.generation import GenerationSettings
from trainer.model.refusal import refusing

SERVED = (
    "bad_words_ids", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "min_length",
    "min_new_tokens", "no_repeat_ngram_size", "repetition_penalty", "suppress_tokens",
)  # fmt: skip
"""Served under the same names."""

REQUESTED: dict[str, Any] = {
    "do_sample": False, "early_stopping": False, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "length_penalty": 1.0,
    "min_p": 0.0, "num_beams": 1, "num_return_sequences": 1, "temperature": 1.0, "top_h": 1.0, "top_k": 50,
    "top_p": 1.0, "typical_p": 1.0,
}  # fmt: skip
"""Beams and sampling, which a request asks for, with the values that ask for nothing."""

LEFT_OUT = frozenset({
    # the recipe's, the tokenizer's, or read elsewhere
    "max_length", "max_new_tokens", "bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id",
    *REQUESTED,
    # how, not what
    "_from_model_config", "assistant_confidence_threshold", "assistant_early_exit", "assistant_ensemble_weight",
    "assistant_lookbehind", "cache_config", "cache_implementation", "compile_config", "continuous_batching_config",
    "disable_compile", "is_assistant", "low_memory", "max_cache_len", "max_matching_ngram_size",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "output_attentions", "output_hidden_states",
    "output_logits", "output_scores", "prefill_chunk_size", "return_dict_in_generate", "speculation_type",
    "target_lookbehind", "transformers_version", "use_cache",
})  # fmt: skip

NEUTRAL: dict[str, Any] = {
    "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0,
    "guidance_scale": 1, "num_beam_groups": 1,
}  # fmt: skip
"""Values that do nothing, of fields that are refused otherwise."""


def read_generation_config(folder: Path, model: str) -> GenerationConfig:
    """As transformers reads it: the file, or else what config.json says. Raises InputError."""
    with refusing(model, "its generation_config.json cannot be read"):
        if (folder / GENERATION_CONFIG_NAME).exists():
            return GenerationConfig.from_pretrained(folder, local_files_only=True)
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, local_files_only=True))


def left_out_warning(config: GenerationConfig) -> str:
    """Names what it asks for and answers do not have unless a request asks; empty for nothing."""
    given = config.to_dict()
    asked = [f"{name}: {given[name]}" for name, usual in REQUESTED.items() if given.get(name) not in (None, usual)]
    if not asked:
        return ""
    return (
        f"the base model's generation_config asks for {', '.join(asked)}, which checkpoint, proof and server leave out:"
        " answers are greedy unless a request asks for more"
    )


def served_settings(config: GenerationConfig, model: str) -> dict[str, Any]:
    """Fields for serving's settings; raises InputError for one that serving cannot obey."""
    given = {name: value for name, value in config.to_dict().items() if value is not None}
    for name, value in given.items():
        if name not in SERVED and name not in LEFT_OUT and value not in (NEUTRAL.get(name), False, [], {}):
            raise InputError(
                f"model: {model}: its generation_config has {name}: {value}, which transformers obeys and serving"
                " cannot; remove it from generation_config.json, or choose another base model",
                field="model",
            )
    settings: dict[str, Any] = {name: given[name] for name in SERVED if name in given}
    if "min_new_tokens" in settings:
        settings.pop("min_length", None)  # as transformers has it
    if isinstance(settings.get("forced_eos_token_id"), int):
        settings["forced_eos_token_id"] = [settings["forced_eos_token_id"]]
    with refusing(model, "its generation_config has values that cannot be served"):
        GenerationSettings(**settings)
    return settings


def require_served(folder: Path, settings: TaskSettings) -> None:
    """Raise InputError unless a checkpoint's settings have what its generation_config asks."""
    asked = served_settings(read_generation_config(folder, str(folder)), str(folder))
    wanted = GenerationSettings(**asked)
    for name in SERVED:
        value, found = getattr(wanted, name), getattr(settings, name)
        if found != value:
            raise InputError(
                f"{folder}: its generation_config has {name}: {value}, and its task.json {found}; train the run again"
            )
