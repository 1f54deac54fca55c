"""What a base model's config.json says of its architecture, and what cannot be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import transformers
from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto import modeling_auto as mappings

from serving.errors import InputError
from trainer.model.heads import GENERATING, Head
from trainer.model.refusal import refusing
from trainer.model.static_vectors import StaticConfig

Kind = Literal["encoder", "causal", "encoder-decoder"]
"""How tokens see each other: all, each those before it, or through an encoder."""

LIBRARY = {
    "sequence": transformers.AutoModelForSequenceClassification,
    "token": transformers.AutoModelForTokenClassification,
    "span": transformers.AutoModelForQuestionAnswering,
    "causal": transformers.AutoModelForCausalLM,
    "seq2seq": transformers.AutoModelForSeq2SeqLM,
}
"""By head, transformers' class for it."""

LABELLING: tuple[Head, ...] = ("sequence", "token", "span")
"""The heads that transformers draws at random where a folder has none."""

TESTED = frozenset(
    {
        "albert", "bart", "bert", "deberta-v2", "distilbert", "electra", "eurobert", "gpt2", "gpt_neox",
        "jina_embeddings_v3", "llama", "marian", "mbart", "modernbert", "mpnet", "nomic_bert", "opt", "phi", "qwen2",
        "qwen3", "roberta", "t5", "xlm-roberta", "xlnet",
    }
)  # fmt: skip
"""The model types of docs/base-models.md, which the tests take from training to serving."""

BOTH_WAYS = {"xlnet"}
"""The families with a causal head alone that nevertheless read both ways."""

RELATIVE_TYPES = {"xlnet"}
"""The families that compare token types of two tokens, and have no table of them."""

OWN_DECODER_INPUT = {"bart", "mbart", "plbart", "mvp"}
"""The encoder-decoders that feed their decoder the text itself, for an answer about it."""

BATCH_DEPENDENT_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that change for all rows of a batch once its longest row passes the original positions."""


def read_architecture(folder: Path, model: str) -> PretrainedConfig:
    """The typed config.json; raises InputError for an architecture that is unknown or reads more than text."""
    unknown = f"its config.json describes no architecture that transformers {transformers.__version__} knows"
    with refusing(model, unknown):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.extra_files:
        raise InputError(
            f"model: {model}: the weights of its model_type {config.model_type!r} are in {config.extra_files[0]} too,"
            " which is not read; choose another base model",
            field="model",
        )
    if not _reads_text_alone(config):
        raise InputError(
            f"model: {model}: its model_type {config.model_type!r} is no text model; give a text encoder, a causal"
            " language model or an encoder-decoder",
            field="model",
        )
    return config


def kind_of(config: PretrainedConfig) -> Kind:
    if config.is_encoder_decoder:
        return "encoder-decoder"
    only_causal = type(config) in mappings.MODEL_FOR_CAUSAL_LM_MAPPING and (
        type(config) not in mappings.MODEL_FOR_MASKED_LM_MAPPING
    )
    both_ways = config.model_type in BOTH_WAYS or getattr(config, "use_bidirectional_attention", False)
    return "causal" if only_causal and not both_ways else "encoder"


def check_head(config: PretrainedConfig, head: Head, model: str) -> None:
    """Raise InputError if the architecture cannot have the head of a task."""
    kind = kind_of(config)
    needed = {"causal": ("causal", "GPT-2, Llama or Qwen"), "seq2seq": ("encoder-decoder", "T5, BART or Marian")}
    if head in needed:
        accepted, examples = needed[head]
        if kind != accepted or type(config) not in LIBRARY[head]._model_mapping:
            found = f"is of kind {kind!r} (model_type {config.model_type!r})"
            raise InputError(
                f"model: {model}: {found}; this task needs {accepted!r}, such as {examples}", field="model"
            )
    elif kind == "encoder-decoder" and config.model_type not in OWN_DECODER_INPUT and not has_text_encoder(config):
        raise InputError(
            f"model: {model}: an encoder-decoder of model_type {config.model_type!r} only generates; for this task give"
            " an encoder, a causal model, T5 or BART",
            field="model",
        )


def check_layers(config: PretrainedConfig, layers: int, model: str) -> None:
    """Raise InputError where a classifier would read more layers than there are."""
    name = "decoder_layers" if config.model_type in OWN_DECODER_INPUT else "num_hidden_layers"
    count = int(getattr(config, name, layers) or layers)
    if layers > count:
        raise InputError(
            f"model_head.layers: {layers} of the {count} layers of {model} cannot be read; give at most {count}",
            field="model_head.layers",
        )


def has_library_head(config: PretrainedConfig, head: Head) -> bool:
    """Whether transformers has the head in a class that knows padding by the attention mask alone.

    Its classifiers of causal and encoder-decoder models look for a padding or end token in the text itself, and
    XLNet's reads the last place, padding or not.
    """
    if head in GENERATING:
        return True
    padding_safe = kind_of(config) == "encoder" and config.model_type not in BOTH_WAYS
    return padding_safe and head in LIBRARY and type(config) in LIBRARY[head]._model_mapping


def backbone_class(config: PretrainedConfig) -> Any:
    """transformers' class without a head: of T5 and its like the encoder."""
    return transformers.AutoModelForTextEncoding if has_text_encoder(config) else transformers.AutoModel


def natural_pooling(config: PretrainedConfig) -> str:
    """``cls`` where transformers has a classification head; the last token where only it has read the whole text."""
    if kind_of(config) == "causal" or config.model_type in BOTH_WAYS | OWN_DECODER_INPUT:
        return "last"
    return "cls" if has_library_head(config, "sequence") else "mean"


def is_static(config: PretrainedConfig) -> bool:
    return isinstance(config, StaticConfig)


def most_positions(config: PretrainedConfig) -> int | None:
    """Tokens whose positions do not depend on other rows; None: no limit."""
    if config.model_type == "xlnet":  # its configuration raises an error
        return None
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return None
    originals = [
        rope.get("original_max_position_embeddings") or positions
        for rope in rope_parameters(config)
        if rope.get("rope_type") in BATCH_DEPENDENT_ROPE
    ]
    return min([positions, *originals])


def rope_parameters(config: PretrainedConfig) -> list[dict[str, Any]]:
    """One for all layers, or one for each kind of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    return [rope for rope in (parameters, *parameters.values()) if isinstance(rope, dict)]


def has_text_encoder(config: PretrainedConfig) -> bool:
    """Also where a saved encoder's config.json says no more that it is a part of an encoder-decoder."""
    generates = type(config) in mappings.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    return generates and type(config) in mappings.MODEL_FOR_TEXT_ENCODING_MAPPING


def _reads_text_alone(config: PretrainedConfig) -> bool:
    model = mappings.MODEL_MAPPING.get(type(config), None)
    kind = model[0] if isinstance(model, tuple) else model
    return getattr(kind, "main_input_name", "") == "input_ids" and not hasattr(config, "vision_config")
